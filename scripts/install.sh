#!/usr/bin/env bash
# Installs lensing-tfds for development: system libraries, .venv, and the locked packages in it.
# Usage: scripts/install.sh VENV [PYTHON]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$1

scripts/venv.sh "$@"
scripts/install_pymaster.sh "$venv"
echo "lensing-tfds: installing the locked packages into $venv" \
  "(the first time about 2 minutes and 3 GB)"
# Both variables: the lock also holds for what pip builds with, in old and new versions of pip.
PIP_CONSTRAINT=requirements.lock PIP_BUILD_CONSTRAINT=requirements.lock \
  "$venv/bin/python" -m pip install -q --disable-pip-version-check -e '.[all,test,dev,docs]'
echo "lensing-tfds: installed in $SECONDS s; to use it by hand: source $venv/bin/activate"
