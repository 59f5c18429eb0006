#!/usr/bin/env bash
# Every benchmark, one table: printed, and written to target/bench/table.txt. `make bench` calls this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ "$(id -u)" = 0 ] || { echo "bench: error: containers need root; run: sudo make bench" >&2; exit 1; }

TARGET=${TARGET:-target}
table=$TARGET/bench/table.txt
mkdir -p "$TARGET/bench"
{
  printf 'megarun %s, %s\n' "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" "$(date -u +%Y-%m-%dT%H:%MZ)"
  printf '%s, %s CPUs, Linux %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -r)"
  for peer in crun runc; do command -v $peer >/dev/null && $peer --version | head -n 1 || echo "$peer: not installed"; done
} | tee "$table"

section() { printf '\n== %s ==\n' "$1" | tee -a "$table"; }

section 'containers, interleaved with their peers'
BENCH_OUT=$(realpath "$TARGET/bench")/lifecycle.txt cargo bench --locked -q --workspace --bench lifecycle | tee -a "$table"

# With --workspace: the same features as the tests have, so nothing is built twice.
# What runs in one process: exec of a program, a host call.
for bench in $(sed -n '/^\[\[bench\]\]/,/^$/s/^name = "\(.*\)"/\1/p' crates/vkernel/Cargo.toml); do
  section "in the kernel: $bench"
  cargo bench --locked -q --workspace --bench "$bench" | tee -a "$table"
done

section 'linking and compiling the demo'
work=$(mktemp -d /run/megarun-bench.XXXXXX)
trap 'rm -rf "$work"' EXIT
timed() {
  local what=$1 start
  shift
  start=$(date +%s%N)
  "$@" >/dev/null 2>&1
  printf '%-44s %8d ms\n' "$what" $((($(date +%s%N) - start) / 1000000)) | tee -a "$table"
}
timed 'megabin build (43 programs)' "$MEGABIN_BIN" build guests/recipes/demo.toml -o "$work/demo"
timed 'megabin precompile, nothing cached' "$MEGABIN_BIN" precompile "$work/demo" --cache "$work/cache"
timed 'megabin precompile, cached' "$MEGABIN_BIN" precompile "$work/demo" --cache "$work/cache"
section 'folding'
bench/folding.sh | tee -a "$table"
printf '\nbench: the table is in %s\n' "$table"
