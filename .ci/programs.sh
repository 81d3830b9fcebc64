#!/usr/bin/env bash
# The programs that the tests start and that pip does not install: browser, database, emulator.
set -euo pipefail
found() { command -v "$1" >/dev/null; }
if ! found chromium || ! found strace || ! found slurmctld || ! found arm-none-eabi-gcc ||
    ! found qemu-system-arm || ! found cmake || ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    apt-get update -qq
    apt-get install -y -qq chromium postgresql strace util-linux slurm-wlm munge
    # C for boards is compiled for a Cortex-M and run on an emulated one.
    apt-get install -y -qq --no-install-recommends cmake gcc g++ qemu-system-arm gcc-arm-none-eabi \
        libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib
fi
