#!/usr/bin/env bash
# Builds and installs the locked version of pymaster (NaMaster) against the system's chealpix.
# pymaster has no wheels, and its own build downloads chealpix and compiles it.
# Usage: scripts/install_pymaster.sh VENV
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$1/bin/python
[[ $python == /* ]] || python=$PWD/$python
lock=$PWD/requirements.lock
version=$(sed -n 's/^pymaster==\([^ ;]*\).*/\1/p' "$lock")

if "$python" - "$version" <<'PY' &>/dev/null
import sys
from importlib.metadata import version
import pymaster
sys.exit(version("pymaster") != sys.argv[1])
PY
then
  exit 0
fi

build=$(mktemp -d)
log=$build/log
fail() {
  tail -n 20 "$log" >&2
  echo "lensing-tfds: could not build pymaster $version; the whole output is in $log" >&2
  exit 1
}
pip=("$python" -m pip --disable-pip-version-check)

echo "lensing-tfds: building pymaster $version (about a minute)"
# Built with the locked numpy and setuptools, in the environment itself: no second download.
"${pip[@]}" install -q -c "$lock" numpy setuptools wheel || exit 1
"${pip[@]}" download --no-deps --no-build-isolation --no-binary pymaster -d "$build" \
  "pymaster==$version" &>"$log" || fail

mkdir "$build/src"
tar -xf "$build/pymaster-$version.tar.gz" -C "$build/src" --strip-components 1
# pymaster's build skips its own chealpix when it finds this archive, and then links it by name.
# The shared library stands in: Debian's static one is not position-independent.
chealpix=$(gcc -print-file-name=libchealpix.so)
[[ $chealpix == /* ]] || { echo "gcc finds no libchealpix.so" >>"$log"; fail; }
mkdir -p "$build/src/_deps/lib" "$build/src/_deps/include"
ln -s "$chealpix" "$build/src/_deps/lib/libchealpix.a"
ln -s "$chealpix" "$build/src/_deps/lib/libchealpix.so"

"${pip[@]}" wheel --no-deps --no-build-isolation -w "$build" "$build/src" &>>"$log" </dev/null || fail
"${pip[@]}" install -q -c "$lock" --force-reinstall --no-deps "$build"/pymaster-*.whl || exit 1
rm -rf "$build"
