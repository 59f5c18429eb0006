#!/usr/bin/env bash
# Installs what building and testing need, by package name, on Debian 12. Idempotent: a second run installs nothing.
#
#   scripts/setup.sh build    a C compiler for the Rust toolchain's linker
#   scripts/setup.sh guests   these and the toolchains of the demo's guest programs
#   scripts/setup.sh engines  container engines, and what their tests need
#   scripts/setup.sh test     guests, engines, and what the other tests need
#   scripts/setup.sh lint     a C compiler, and what the messages of Kubernetes are compiled with
#   scripts/setup.sh deb      these and what a Debian package is made and tried with
#   scripts/setup.sh bench    these and the peers: crun, runc, native builds of guest programs
set -euo pipefail

say() { printf '%s\n' "setup: $*" >&2; }
die() { printf '%s\n' "setup: error: $*" >&2; exit 1; }

build=(gcc libc6-dev make)
guests=(clang-22 lld-22 wasi-libc libclang-rt-22-dev-wasm32 byacc binutils xz-utils bzip2)
lint=(protobuf-compiler)
# Go and libraries for the OCI validation programs, whose source apt fetches.
conformance=(python3 golang-go golang-github-opencontainers-runtime-tools-dev golang-github-google-uuid-dev dpkg-dev)
# And what runc's own tests are run with.
conformance+=(bats jq gawk procps pkg-config libseccomp-dev golang-github-containerd-console-dev
  golang-github-cyphar-filepath-securejoin-dev golang-github-opencontainers-specs-dev
  golang-github-seccomp-libseccomp-golang-dev golang-github-sirupsen-logrus-dev golang-github-urfave-cli-dev
  golang-golang-x-sys-dev)
tests=("${lint[@]}" "${conformance[@]}" autoconf automake tcl rustc-web cargo-web rust-web-src openssl nodejs)
engines=(podman conmon containerd docker.io crun runc containernetworking-plugins iptables catatonit skopeo busybox-static
  iproute2 bsdutils util-linux systemd uidmap)
# Container runtimes, what youki is built with, and native builds of the programs that compute.
bench=(crun runc libseccomp-dev dash lua5.4 mawk jq bzip2 zstd lz4 brotli cmark xxd sqlite3 9base toybox)

case ${1:-} in
build) packages=("${build[@]}") ;;
guests) packages=("${build[@]}" "${guests[@]}") ;;
engines) packages=("${engines[@]}") ;;
test) packages=("${build[@]}" "${guests[@]}" "${engines[@]}" "${tests[@]}") ;;
lint) packages=("${build[@]}" "${lint[@]}") ;;
deb) packages=("${build[@]}" dpkg-dev debootstrap) ;;
bench) packages=("${build[@]}" "${guests[@]}" "${tests[@]}" "${bench[@]}") ;;
*) die "usage: scripts/setup.sh build|guests|engines|test|lint|deb|bench" ;;
esac

# Programs that may have come another way than by apt.
case $1 in
build | engines | lint | deb) ;;
*)
  command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || packages+=(python3 python3-pip)
  command -v npm >/dev/null || packages+=(npm)
  ;;
esac

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

command -v cargo >/dev/null || die "no Rust toolchain: install one (rustup, stable 1.95 or later) and put cargo in PATH"
command -v dpkg-query >/dev/null || die "this script knows Debian 12 only; install the like of: ${packages[*]}"
missing=()
for package in "${packages[@]}"; do
  case $package in
  nodejs) command -v node >/dev/null && continue ;;
  esac
  installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

[ "$(id -u)" = 0 ] || die "root is needed to install ${missing[*]}; run: sudo scripts/setup.sh $1"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# logged COMMAND...: its output goes to the log, and what it is at to the terminal, now and then.
logged() {
  "$@" >"$log" 2>&1 &
  local seconds=0
  while kill -0 $! 2>/dev/null; do
    sleep 1
    [ $((++seconds % 10)) != 0 ] || say "$seconds s: $(tail -n 1 "$log" | cut -c1-80)"
  done
  wait $!
}
install() { DEBIAN_FRONTEND=noninteractive logged apt-get install -y -q --no-install-recommends "${missing[@]}"; }
say "installing ${missing[*]}"
# Lists that are there already usually serve; update once when they do not.
if ! apt-cache policy "${missing[0]}" 2>/dev/null | grep -q 'Candidate: [^(]' || ! install; then
  say "updating the package lists"
  logged apt-get -q update || die "apt-get update failed (offline?): $(grep -m1 -E '^(E|W|Err)' "$log")"
  install || { tail -n 5 "$log" >&2; die "apt-get install failed; are the bookworm and bookworm-security suites enabled?"; }
fi
say "done"
