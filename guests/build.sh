#!/usr/bin/env bash
# Fetches and builds the guest programs: real ones, that nobody here wrote.
#
#   guests/build.sh demo    C, Go and CPython: what the demo links
#   guests/build.sh test    these, and whatever only the tests link: more in C, C++, Rust and Zig, and LLVM
#
# Everything lands in guests/.cache. A program is built again when its script, what that sources or compat/ changed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

DEMO=(toybox 9base lua bzip2 zstd lz4 xxd figlet cmark tree jq gofmt python)
# What takes longest comes first.
TEST=(rust clang zig sqlite3 "${DEMO[@]}" toys runawk runed runners nettools runlua vkcheck vkfork dash make ed brotli mawk gperf
  lzip zopfli)

# Debian source packages, by binary or source name, and the source name their tarball carries.
SOURCES=(toybox micro-httpd 9base lua5.4 bzip2 libzstd lz4 vim figlet cmark tree jq ed brotli mawk sqlite3 dash gperf lzip
  make-dfsg zopfli)

# The key of a program: changes exactly when something that decides its bytes changes.
key() {
  {
    cat "$GUESTS/lib.sh" $(find "$GUESTS/programs/$1"* -type f | sort)
    find "$GUESTS/compat" -type f | sort | xargs cat
    sourced "$GUESTS/programs/$1.sh"
  } | sha256sum | cut -c1-64
}

# The scripts beside lib.sh that this one sources, those that they source, and the library that one of them builds.
sourced() {
  local name
  for name in $(sed -n 's|^\. "\$GUESTS/\(.*\)"$|\1|p' "$1"); do
    cat "$GUESTS/$name"
    [ "$name" != vkernel.sh ] || find "$GUESTS/../libvkernel" -type f | sort | xargs cat
    sourced "$GUESTS/$name"
  done
}

fresh() { [ "$(cat "$CACHE/stamps/$1" 2>/dev/null)" = "$(key "$1")" ]; }

# Upstream tarballs, through apt with a source list of its own: the machine's sources stay as they are.
fetch_sources() {
  local missing=() name
  for name in "${SOURCES[@]}"; do
    ls "$TARBALLS/$name"_*.orig.tar.* >/dev/null 2>&1 || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  need apt-get guests
  local apt=$CACHE/apt
  mkdir -p "$apt/lists/partial" "$TARBALLS"
  # The mirror this machine already uses for its own release.
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    awk -v by="$(ls /usr/share/keyrings/debian-archive-keyring.gpg 2>/dev/null)" \
      '$1 ~ /\/debian\/?$/ && $2 == "bookworm" && $3 == "main" && !done++ {
        print "deb-src " (by ? "[signed-by=" by "] " : "") $1, $2, $3 }' >"$apt/sources.list"
  [ -s "$apt/sources.list" ] || die "apt knows no Debian 12 (bookworm) mirror; add one to /etc/apt and run apt-get update"
  local options=(-q -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$apt/lists" -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache= -o APT::Sandbox::User=root)
  say "sources: ${missing[*]}"
  apt-get "${options[@]}" update >"$CACHE/log/apt" 2>&1 &&
    (cd "$TARBALLS" && apt-get "${options[@]}" source --only-source --download-only --tar-only "${missing[@]}") >>"$CACHE/log/apt" 2>&1 ||
    die "fetching sources failed (offline?): $(grep -m1 '^E:' "$CACHE/log/apt"; echo "see $CACHE/log/apt")"
}

# The C sysroot and the object that stands in for what wasi-libc leaves out.
prepare_compat() {
  need "clang-$LLVM" guests
  [ -e /usr/lib/wasm32-wasi/libc.a ] || die "wasi-libc is missing; run scripts/setup.sh guests as root"
  mkdir -p "$SYSROOT/include" "$SYSROOT/lib"
  ln -sfn /usr/include/wasm32-wasi "$SYSROOT/include/wasm32-wasi"
  ln -sfn /usr/lib/wasm32-wasi "$SYSROOT/lib/wasm32-wasi"
  cc -Os -c "$GUESTS/compat/compat.c" -o "$COMPAT"
}

build_one() {
  local name=$1 started=$SECONDS
  export WORK=$CACHE/build/$name
  rm -rf "$WORK"
  mkdir -p "$WORK"
  if (cd "$WORK" && bash -euo pipefail -c '. "$0/lib.sh"; . "$0/programs/$1.sh"' "$GUESTS" "$name") >"$CACHE/log/$name" 2>&1; then
    key "$name" >"$CACHE/stamps/$name"
    rm -rf "$WORK"
    say "$name built in $((SECONDS - started)) s"
  else
    tail -n 15 "$CACHE/log/$name" >&2
    die "$name failed; the whole log is $CACHE/log/$name"
  fi
}

main() {
  local set=${1:-demo} wanted stale=() name
  case $set in
  demo) wanted=("${DEMO[@]}") ;;
  test) wanted=("${TEST[@]}") ;;
  one) build_one "$2"; return ;;
  *) die "usage: guests/build.sh demo|test" ;;
  esac
  mkdir -p "$WASM" "$SHARE" "$CACHE/log" "$CACHE/stamps" "$CACHE/build"
  exec 9>"$CACHE/lock"
  flock 9
  for name in "${wanted[@]}"; do fresh "$name" || stale+=("$name"); done
  if [ ${#stale[@]} -gt 0 ]; then
    say "building ${stale[*]} (-j$JOBS)"
    fetch_sources
    prepare_compat
    printf '%s\n' "${stale[@]}" | xargs -P "$JOBS" -I{} "${BASH_SOURCE[0]}" one {} 9>&- ||
      die "some guests were not built"
  fi
  say "$set: $(ls "$WASM" | wc -l) modules in ${WASM#"$PWD"/}"
}

main "$@"
