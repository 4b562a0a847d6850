#!/usr/bin/env bash
# Makes .venv from requirements.lock, with Python 3.11 or later and pip. PYTHON= names another one.
set -euo pipefail

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

if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    rm -rf .venv
    # Some systems part venv from pip; then the pip outside installs into the environment.
    "$python" -m venv .venv 2>/dev/null || "$python" -m venv --clear --without-pip .venv
fi
if .venv/bin/python -m pip --version >/dev/null 2>&1; then
    pip=(.venv/bin/python -m pip)
else
    pip=("$python" -m pip --python .venv/bin/python)
fi

"${pip[@]}" install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
"${pip[@]}" install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
