#!/usr/bin/env bash
# Builds youki, a peer that no package has, once, for the benchmarks: bench/youki.sh FOLDER puts it into FOLDER/bin.
# Without it the tables have no rows for it, so this never fails: it says what was wrong.
set -euo pipefail
version=0.7.0
folder=${1:?usage: bench/youki.sh FOLDER}

if [ "$("$folder/bin/youki" --version 2>/dev/null | sed -n 's/^youki.* \([0-9][0-9.]*\).*/\1/p' | head -n 1)" = $version ]; then
  exit 0
fi
echo "bench: building youki $version once, into $folder (some minutes)" >&2
mkdir -p "$folder"
log=$folder/youki.log
# Its own target folder goes again: nothing here is built from the same sources.
if ! timeout 900 cargo install --quiet --locked --root "$folder" --target-dir "$folder/build" --version $version \
  --no-default-features --features v1,v2,seccomp,systemd youki >"$log" 2>&1; then
  echo "bench: youki cannot be built: $(grep -m 1 -E '^(error|  error)' "$log" || tail -n 1 "$log")" >&2
  echo "bench: no rows for youki; all of it is in $log" >&2
fi
rm -rf "$folder/build"
