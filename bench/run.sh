#!/usr/bin/env bash
# Every benchmark, one table: printed, and written to target/bench/table.txt. `make bench` calls this. A part that
# fails, or hangs, leaves a line that says so and does not keep the others from running.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ "$(id -u)" = 0 ] || { echo "bench: error: containers need root; run: sudo make bench" >&2; exit 1; }

export TARGET=${TARGET:-$PWD/target}
table=$TARGET/bench/table.txt
failed=0
began=$SECONDS
mkdir -p "$TARGET/bench"
# youki has no package.
bench/youki.sh "$TARGET/bench/tools"
PATH="$TARGET/bench/tools/bin:$PATH"
{
  printf 'megarun %s, %s\n' "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" "$(date -u +%Y-%m-%dT%H:%MZ)"
  printf '%s, %s CPUs, Linux %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -r)"
  for peer in crun runc youki; do command -v $peer >/dev/null && $peer --version | head -n 1 || echo "$peer: not installed"; done
} | tee "$table"

# part SECONDS TITLE COMMAND...: one part of the table, and how busy the machine was before it.
part() {
  local limit=$1 title=$2
  shift 2
  printf '\n== %s == (load %s)\n' "$title" "$(cut -d' ' -f1-3 /proc/loadavg)" | tee -a "$table"
  timeout "$limit" "$@" | tee -a "$table" || {
    failed=1
    printf 'this part failed, or took more than %d s\n' "$limit" | tee -a "$table"
  }
  printf 'bench: %d s so far\n' $((SECONDS - began)) >&2
}

# With --workspace: the same features as the tests have, so nothing is built twice.
bench() { cargo bench --locked -q --workspace "$@"; }
# The kubelet's client has a workspace of its own.
bench_pods() { cargo bench --locked -q --manifest-path integration-tests/kubernetes/Cargo.toml --bench pods; }
export -f bench bench_pods

part_demo() {
  local work
  work=$(mktemp -d /run/megarun-bench.XXXXXX)
  timed() {
    local what=$1 start
    shift
    start=$(date +%s%N)
    "$@" >/dev/null 2>&1
    printf '%-44s %8d ms\n' "$what" $((($(date +%s%N) - start) / 1000000))
  }
  timed 'megabin build of the demo' "$MEGABIN_BIN" build guests/recipes/demo.toml -o "$work/demo"
  timed 'megabin precompile, nothing cached' "$MEGABIN_BIN" precompile "$work/demo" --cache "$work/cache"
  timed 'megabin precompile, cached' "$MEGABIN_BIN" precompile "$work/demo" --cache "$work/cache"
  rm -rf "$work"
}
export -f part_demo

bench --no-run
cargo bench --locked -q --manifest-path integration-tests/kubernetes/Cargo.toml --no-run
part 400 'containers, interleaved with their peers' bash -c 'bench --bench lifecycle'
part 300 'containers of engines: podman and containerd with this runtime and with crun' bash -c 'bench --bench engines'
part 300 'pods: the CRI of containerd with this runtime and with crun' bash -c bench_pods
part 300 'from the start of a process to its guest' bash -c 'bench --bench start'
part 300 'exec and host calls in the kernel' bash -c 'bench --bench exec'
part 200 'processes that start processes' bash -c 'bench --bench spawns'
part 200 'processes that fork, and a shell of them' bash -c 'bench --bench shell'
part 200 'bytes between processes' bash -c 'bench --bench pipes'
part 100 'processes that live' bash -c 'bench --bench live'
part 900 "a peer: wasmtime's pool, a module for each program" \
  cargo run --release --locked -q --manifest-path bench/pool/Cargo.toml --target-dir "$TARGET/bench/pool"
part 900 'compute-heavy programs, linked and folded beside unlinked' bash -c 'bench --bench compute'
part 200 'linking and compiling the demo' bash -c part_demo
part 900 'linking and folding' bench/folding.sh
printf '\nbench: the table is in %s; %d s\n' "$table" $((SECONDS - began))
exit $failed
