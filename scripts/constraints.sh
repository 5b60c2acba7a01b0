#!/bin/bash
# Write constraints.txt: the newest versions that setup.cfg allows, and that run with its oldest Python, which can be
# older than the one here: Debian 12 has 3.11.2. From a fresh environment.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
pip=("$folder/venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" install --quiet uv
oldest=$(sed -n 's/^python_requires = >=//p' setup.cfg)
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" --python-version "$oldest" -e '.[all,test]'
{
    echo "# Versions that the tests run with, under Python $oldest and newer. Made by: make constraints"
    "${pip[@]}" freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^ ]+$' | LC_ALL=C sort -f
} >"$folder/constraints.txt"
cp "$folder/constraints.txt" constraints.txt
