#!/usr/bin/env bash
# Makes .venv from requirements.lock, with Python 3.11 or later and pip. PYTHON= names another one.
# With arguments: tools/venv.sh FOLDER LOCK makes an environment of other packages alone.
set -euo pipefail

home=${1:-.venv}
lock=${2:-requirements.lock}

python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "no Python 3.11 or later found; install one, or name it: make .venv PYTHON=/path/to/python3" >&2
    exit 1
fi

if ! "$home/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    rm -rf "$home"
    # Some systems part venv from pip; then the pip outside installs into the environment.
    "$python" -m venv "$home" 2>/dev/null || "$python" -m venv --clear --without-pip "$home"
fi
if "$home/bin/python" -m pip --version >/dev/null 2>&1; then
    pip=("$home/bin/python" -m pip)
else
    pip=("$python" -m pip --python "$home/bin/python")
fi

"${pip[@]}" install --quiet --disable-pip-version-check --require-hashes -r "$lock"
if [ "$home" = .venv ]; then
    "${pip[@]}" install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
fi
