#!/bin/bash
# Make .venv-lowest, with the lowest version that setup.cfg allows of each package that it names: scripts/lowest.sh
# The packages that those need are the newest that fit. uv resolves them: pip cannot choose the lowest.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m venv --clear .venv-lowest
.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
.venv-lowest/bin/uv pip install --quiet --compile-bytecode --python .venv-lowest/bin/python --resolution lowest-direct -e '.[all,test]'
