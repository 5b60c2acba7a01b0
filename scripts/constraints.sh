#!/bin/bash
# Write constraints.txt: the newest versions that setup.cfg allows, from a fresh environment.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
pip=("$folder/venv/bin/python" -m pip --disable-pip-version-check)
# uv installs the rest, see scripts/setup.sh
"${pip[@]}" install --quiet uv -e '.[all,test]'
{
    echo "# Versions that the tests run with, under $("$folder/venv/bin/python" --version). Made by: make constraints"
    "${pip[@]}" freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^ ]+$' | LC_ALL=C sort -f
} >"$folder/constraints.txt"
cp "$folder/constraints.txt" constraints.txt
