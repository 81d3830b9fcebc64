#!/usr/bin/env bash
# OpenStack Swift, the S3 server that the tests start, in a virtual environment of its own:
#     .ci/swift.sh FOLDER && OLHAR_TEST_SWIFT=FOLDER make test
set -euo pipefail
folder="${1:?which folder to make}"
if [ ! -x "$folder/bin/swift-proxy-server" ]; then
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "swift==2.38.3"
fi
"$folder/bin/python" -c 'import swift.common.middleware.s3api.s3api'
