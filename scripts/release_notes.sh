#!/usr/bin/env bash
# Prints the notes of a release: its section of CHANGELOG.md.
# Fails where the tag is not the package's version, or its section is still called unreleased.
# Usage: scripts/release_notes.sh TAG, as in: scripts/release_notes.sh v0.1.0
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tag=$1
fail() { echo "lensing-tfds: $*" >&2; exit 1; }

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' lensing_tfds/release.py)
[[ $tag == "v$version" ]] ||
  fail "the tag is $tag, and lensing_tfds.__version__ is $version: the tag must be v$version"
heading=$(grep -m 1 -E "^## ${version//./\\.}( |$)" CHANGELOG.md) ||
  fail "CHANGELOG.md has no section '## $version'"
[[ $heading != *unreleased* ]] ||
  fail "CHANGELOG.md says '$heading': put the day of the release there"
awk -v heading="$heading" '/^## /{inside = $0 == heading; next} inside' CHANGELOG.md
