# uutils coreutils, in Rust, each as uNAME: the slowest to build, for the tests. Debian's compiler, with std built for
# wasm32-wasip1 from its source, since that target comes with no package.
[ -x /usr/bin/cargo ] || die "cargo-web, rustc-web and rust-web-src are missing; run scripts/setup.sh test"
cp "$GUESTS/programs/rust/Cargo.toml" "$GUESTS/programs/rust/Cargo.lock" .
mkdir -p src/bin
tools=($(sed -n 's/^uu_\([a-z0-9]*\) =.*/\1/p' Cargo.toml))
for tool in "${tools[@]}"; do echo "uucore::bin!(uu_$tool);" >"src/bin/$tool.rs"; done
export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$WORK/target
# The linker with what wasi-libc lacks; threads it lacks for good, so there is no sort.
cc -Os -c "$GUESTS/programs/rust/port.c" -o port.o
printf '#!/bin/sh\nexec wasm-ld-%s "$@" %q %q --wrap=open --wrap=openat --gc-sections\n' "$LLVM" "$WORK/port.o" "$COMPAT" >ld
chmod +x ld
export CARGO_TARGET_WASM32_WASIP1_LINKER=$WORK/ld
export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-C linker-flavor=wasm-ld -C link-self-contained=no -C target-feature=+crt-static
  -L /usr/lib/wasm32-wasi -C link-arg=/usr/lib/wasm32-wasi/crt1-command.o -C link-arg=-lc"
CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$(echo $CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS)
env -u RUSTUP_TOOLCHAIN -u RUSTFLAGS /usr/bin/cargo build --release --locked --target wasm32-wasip1 -Zbuild-std=std,panic_abort -j "$JOBS"
for tool in "${tools[@]}"; do mv "target/wasm32-wasip1/release/$tool.wasm" "$WASM/u$tool.wasm"; done
