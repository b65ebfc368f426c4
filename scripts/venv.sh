#!/usr/bin/env bash
# Makes a virtual environment, or checks the one that is there.
# Usage: scripts/venv.sh VENV [PYTHON]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$1
python=${2:-}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
supported() { [[ $(version_of "$1") =~ ^3\.(11|12|13)$ ]]; }
fail() { echo "lensing-tfds: $*" >&2; exit 1; }

if [[ -n $python ]] && ! supported "$python"; then
  fail "$python is not a Python 3.11, 3.12 or 3.13 that runs."
fi

if version_of "$venv/bin/python" >/dev/null && "$venv/bin/python" -m pip --version &>/dev/null; then
  supported "$venv/bin/python" ||
    fail "$venv has Python $(version_of "$venv/bin/python"), not 3.11-3.13: remove $venv, and run this again."
  [[ -z $python || $(version_of "$python") == "$(version_of "$venv/bin/python")" ]] ||
    fail "$venv has Python $(version_of "$venv/bin/python"), not $(version_of "$python"): remove $venv, and run this again."
  exec scripts/system_packages.sh "$venv/bin/python"
fi

if [[ -z $python ]]; then
  for candidate in python3 python3.13 python3.12 python3.11; do
    if supported "$candidate"; then
      python=$candidate
      break
    fi
  done
  [[ -n $python ]] || fail "no Python 3.11, 3.12 or 3.13 found: install one, or name it with PYTHON=..."
fi

scripts/system_packages.sh "$python"
echo "lensing-tfds: creating $venv with Python $(version_of "$python")"
"$python" -m venv --clear "$venv"
