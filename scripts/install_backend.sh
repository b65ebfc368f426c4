#!/usr/bin/env bash
# Installs the trainer with one of Keras's backends, without TensorFlow, and what its tests need.
# Usage: scripts/install_backend.sh VENV BACKEND [PYTHON], where BACKEND is jax or torch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$1
backend=$2

scripts/venv.sh "$venv" "${@:3}"
echo "lensing-tfds: installing the trainer with $backend and without TensorFlow into $venv"
PIP_CONSTRAINT=requirements.lock PIP_BUILD_CONSTRAINT=requirements.lock \
  "$venv/bin/python" -m pip install -q --disable-pip-version-check -e ".[$backend]" \
  hypothesis pytest pytest-xdist
if "$venv/bin/python" -c 'import tensorflow' 2>/dev/null; then
  echo "lensing-tfds: TensorFlow is in $venv, where tests are to show that nothing needs it:" \
    "remove $venv, and run this again." >&2
  exit 1
fi
