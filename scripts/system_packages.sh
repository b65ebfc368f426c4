#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that the build of pymaster (NaMaster) needs, where they are
# missing: for development only, no extra for users needs them.
# Silent when nothing is. Usage: scripts/system_packages.sh PYTHON
set -euo pipefail
python=$1

# A C compiler and the autotools, and the libraries that NaMaster links.
packages=(build-essential autoconf automake libtool
  libgsl-dev libfftw3-dev libcfitsio-dev libchealpix-dev)

if ! command -v dpkg-query >/dev/null; then
  have_all() {
    local name
    for name in make autoreconf automake libtoolize; do
      command -v "$name" >/dev/null || return 1
    done
    for name in gsl/gsl_math.h fftw3.h fitsio.h chealpix.h; do
      echo "#include <$name>" | gcc -E -o /dev/null - 2>/dev/null || return 1
    done
  }
  if ! "$python" -c 'import pymaster' 2>/dev/null && ! have_all; then
    echo "lensing-tfds: not a Debian or Ubuntu system: install gcc, make, autoconf, automake," \
      "libtool, GSL, FFTW3 (with OpenMP), CFITSIO and chealpix, with their headers," \
      "and run this again." >&2
    exit 1
  fi
  exit 0
fi

# The distribution's own Python comes without these two parts.
read -r prefix python_package has_venv has_headers < <("$python" - <<'PY'
import importlib.util, os, sys, sysconfig
has_venv = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
has_headers = os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
print(sys.base_prefix, "python%d.%d" % sys.version_info[:2], has_venv, has_headers)
PY
)
if [[ $prefix == /usr ]]; then
  [[ $has_venv == True ]] || packages+=("$python_package-venv")
  [[ $has_headers == True ]] || packages+=("$python_package-dev")
fi

installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "${packages[@]}" \
  2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  grep -qx "installed $package" <<<"$installed" || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

install=(apt-get install -y --no-install-recommends "${missing[@]}")
if [[ $EUID -eq 0 ]]; then
  run=(env DEBIAN_FRONTEND=noninteractive)
elif sudo -n true 2>/dev/null; then
  run=(sudo -n env DEBIAN_FRONTEND=noninteractive)
else
  become=$(command -v sudo >/dev/null && echo "sudo sh -c" || echo "su -c")
  echo "lensing-tfds: system libraries are missing; run this once:" \
    "$become 'apt-get update && ${install[*]}'" >&2
  exit 1
fi

echo "lensing-tfds: installing ${missing[*]} (about a minute)"
log=$(mktemp)
if ! { "${run[@]}" apt-get update && "${run[@]}" "${install[@]}"; } &>"$log" </dev/null; then
  tail -n 20 "$log" >&2
  echo "lensing-tfds: apt-get could not install ${missing[*]}; its whole output is in $log" >&2
  exit 1
fi
rm -f "$log"
