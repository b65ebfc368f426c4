#!/usr/bin/env bash
# Resolves setup.cfg, with every extra that CI installs, into requirements.lock: one version of
# each package for Python 3.11-3.13. Versions already locked stay where they still fit.
# Usage: scripts/lock.sh VENV [PYTHON]; LOCK_FLAGS=--upgrade moves everything to its newest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$1

scripts/venv.sh "$@"
"$venv/bin/python" -m uv --version &>/dev/null ||
  "$venv/bin/python" -m pip install -q --disable-pip-version-check uv

new=$(mktemp)
trap 'rm -f "$new"' EXIT
[[ ! -e requirements.lock ]] || cp requirements.lock "$new"
# shellcheck disable=SC2086
"$venv/bin/python" -m uv pip compile setup.cfg --extra all --extra test --extra dev --extra docs --extra torch \
  --universal --python-version 3.11 --fork-strategy fewest --no-header --no-annotate --no-emit-index-url --quiet \
  ${LOCK_FLAGS:-} --output-file "$new" >/dev/null
{
  echo "# The versions that CI runs, as pip constraints. From setup.cfg, by: make lock"
  grep -v '^#' "$new"
} >requirements.lock
echo "lensing-tfds: wrote requirements.lock ($(grep -c == requirements.lock) packages)"
