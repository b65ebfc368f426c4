#!/usr/bin/env bash
# Fetches Beam's job server for Flink from Maven Central and prints the path of its jar.
# Of the installed Beam's version, or of the newest that Maven Central had whole when this was
# written: they speak one protocol, which pipelines/flink/pom.xml pins and `make test-engines` tests.
# Usage: scripts/flink_job_server.sh VENV
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lensing-tfds
pom=pipelines/flink/pom.xml

for program in java mvn; do
  command -v "$program" >/dev/null ||
    { echo "lensing-tfds: Flink needs $program: install a JDK 17 and Maven" >&2; exit 1; }
done

installed=$("$venv/bin/python" -c 'import importlib.metadata as m; print(m.version("apache-beam"))')
pinned=$(sed -n 's:.*<beam.version>\(.*\)</beam.version>.*:\1:p' "$pom")
mkdir -p "$cache"
log=$cache/maven.log
: >"$log"
for version in "$installed" "$pinned"; do
  output=$cache/flink-job-server-$version
  if [[ -e $output/ready ]]; then
    echo "$output/flink-job-server.jar"
    exit 0
  fi
  rm -rf "$output"
  if mvn -B -q -f "$pom" -Dbeam.version="$version" -Doutput="$output" package &>>"$log" </dev/null; then
    touch "$output/ready"
    echo "$output/flink-job-server.jar"
    exit 0
  fi
done
tail -n 20 "$log" >&2
echo "lensing-tfds: Maven could not fetch Beam's job server for Flink; its output is in $log" >&2
exit 1
