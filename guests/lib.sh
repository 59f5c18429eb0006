# Shared by build.sh and programs/*.sh: where things lie, how a program is fetched and compiled.
# Sourced; every name a program script may use is here.

GUESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${GUESTS_CACHE:-$GUESTS/.cache}
WASM=$CACHE/wasm          # NAME.wasm, what the recipes link
SHARE=$CACHE/share        # laid over the root file system: what programs want at run time
TARBALLS=$CACHE/tarballs  # as downloaded
JOBS=${JOBS:-$(nproc)}
LLVM=22

say() { printf '%s\n' "guests: $*" >&2; }
die() { printf '%s\n' "guests: error: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || die "$1 is missing; run scripts/setup.sh $2 as root"; }

# A sysroot of its own keeps the host's headers out.
SYSROOT=$CACHE/sysroot
COMPAT=$CACHE/compat.o
CFLAGS=(--target=wasm32-wasi "--sysroot=$SYSROOT" -Wno-deprecated --no-wasm-opt -O2 -w -ffunction-sections
  -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_MMAN -D_WASI_EMULATED_PROCESS_CLOCKS -D_WASI_EMULATED_GETPID
  -isystem "$GUESTS/compat/include" -include "$GUESTS/compat/compat.h")
LDFLAGS=("$COMPAT" -Wl,--gc-sections,--strip-debug,--wrap=open,--wrap=openat,-z,stack-size=262144 -lm
  -lwasi-emulated-signal -lwasi-emulated-mman -lwasi-emulated-getpid -lwasi-emulated-process-clocks)

# cc ARGS...: the compiler with the flags every guest has.
CC=clang-$LLVM
cc() { "$CC" "${CFLAGS[@]}" "$@"; }

# program NAME ARGS...: compiles and links ARGS (sources, objects, flags) into wasm/NAME.wasm.
program() {
  local name=$1
  shift
  cc "$@" "${LDFLAGS[@]}" -o "$WORK/$name.wasm"
  mv "$WORK/$name.wasm" "$WASM/$name.wasm"
}

# objects DIR FLAGS... -- SOURCES...: compiles each source to DIR/<name>.o, in parallel.
objects() {
  local dir=$1 flags=()
  shift
  while [ "$1" != -- ]; do flags+=("$1"); shift; done
  shift
  mkdir -p "$dir"
  local quoted
  quoted=$(printf '%q ' "$CC" "${CFLAGS[@]}" "${flags[@]}")
  printf '%s\n' "$@" | xargs -P "$JOBS" -I{} bash -c "$quoted -c {} -o '$dir'/\$(echo {} | tr / _).o"
}

# unpack PACKAGE: the upstream tarball of a Debian source package, in $WORK/src (its top folder removed).
unpack() {
  local tarball
  tarball=$(ls "$TARBALLS/$1"_*.orig.tar.* 2>/dev/null | grep -v '\.asc$' | head -n 1)
  [ -n "$tarball" ] || die "no source of $1 in $TARBALLS; remove that folder and run guests/build.sh again"
  rm -rf "$WORK/src"
  mkdir -p "$WORK/src"
  tar -xf "$tarball" -C "$WORK/src" --strip-components=1
}

# each FUNCTION WORDS...: calls FUNCTION with each word, in parallel.
each() {
  local what=$1 word started=()
  shift
  for word; do
    while [ "$(jobs -r | wc -l)" -ge "$JOBS" ]; do sleep 0.02; done
    ("$what" "$word") &
    started+=($!)
  done
  for word in "${started[@]}"; do wait "$word"; done
}
