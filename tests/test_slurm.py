"""The job file of docs/scale.md under a real Slurm of one node: stopped, queued again, gone on with."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from olhar.run import RunFolder

ROOT = Path(__file__).parent.parent
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/node
StateSaveLocation={folder}/state
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, NEEDED)), reason="Slurm is not installed (slurm-wlm, munge)"
    ),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="Slurm's node wants to be root"
    ),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a cluster of this one machine is the cluster."""
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "key").write_bytes(os.urandom(64))
    (folder / "key").chmod(0o400)
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    host, cores = socket.gethostname().partition(".")[0], os.cpu_count()
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=host, ports=ports, folder=folder, cores=cores))
    env = {**os.environ, "SLURM_CONF": str(conf), "OMP_NUM_THREADS": "1"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    munge = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket"]
    munge += [f"--{name}-file={folder}/{name}" for name in ("key", "pid", "seed", "log")]
    daemons = (munge, ["slurmctld", "-D"], ["slurmd", "-D", "-N", host])
    with ExitStack() as stack, (folder / "log").open("wb") as log:
        for command in daemons:
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            if command is munge:
                wait_for((folder / "munge.socket").exists)
        wait_for(lambda: "idle" in call(env, "sinfo", "--noheader", "--format=%t"))
        yield env


def call(env: dict[str, str], *words: str, cwd: Path | None = None) -> str:
    """What a command of Slurm prints."""
    done = subprocess.run(words, env=env, capture_output=True, text=True, cwd=cwd, check=False)
    return done.stdout + done.stderr


def wait_for(ready: Callable[[], object], seconds: float = 120) -> None:
    """Until it is so."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "this took too long"
        time.sleep(0.3)


def test_a_job_whose_time_is_up_is_queued_again_and_goes_on(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    file = re.search(r"```bash\n(#!/bin/bash\n.*?)```", (ROOT / "docs/scale.md").read_text(), re.S)
    assert file is not None
    (tmp_path / "train.sbatch").write_text(file[1])
    words = ("--data", "digits", "--network", "lenet5", "--epochs", "300")
    told = call(slurm, "sbatch", "--cpus-per-task=1", "train.sbatch", *words, cwd=tmp_path)
    number = told.split()[-1]
    assert number.isdigit(), told
    log, run = tmp_path / f"olhar-{number}.log", RunFolder(tmp_path / "runs" / number)

    def epochs() -> int:
        return len(run.read_history()) if run.history.is_file() else 0

    try:
        wait_for(lambda: epochs() >= 2)
        call(slurm, "scancel", "--signal=TERM", number)  # what --signal of the file does in time
        wait_for(lambda: "Exited with exit code 143" in log.read_text())
        said = log.read_text()
        assert f"olhar resume runs/{number}" in said
        done = epochs()
        wait_for(lambda: "PENDING" in call(slurm, "scontrol", "show", "job", number))

        asked = 0.0

        def goes_on() -> bool:
            # Asked again and again: while the node tidies up, Slurm sets its own delay of two minutes. Not
            # too often: it plans anew each time, and on a busy machine comes to nothing else.
            nonlocal asked
            if time.monotonic() > asked + 10:
                call(slurm, "scontrol", "update", f"JobId={number}", "StartTime=now")
                asked = time.monotonic()
            return epochs() > done + 1

        wait_for(goes_on)
        assert log.read_text().count("epoch 1/300") == 1
    finally:
        call(slurm, "scancel", number)
