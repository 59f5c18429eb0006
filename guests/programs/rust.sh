# Programs in Rust: uutils' coreutils, each as uNAME, and ripgrep. Debian's compiler, with std built for wasm32-wasip1
# from its source, since that target comes with no package. One workspace, so that what they share is compiled once.
[ -x /usr/bin/cargo ] || die "cargo-web, rustc-web and rust-web-src are missing; run scripts/setup.sh test"
cp "$GUESTS/programs/rust/Cargo.toml" "$GUESTS/programs/rust/Cargo.lock" .
export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$WORK/target

# cargo, as it is without this machine's own settings.
debian_cargo() { env -u RUSTUP_TOOLCHAIN -u RUSTFLAGS /usr/bin/cargo "$@"; }

# ripgrep is a program and no library, so it is a member of the workspace, from cargo's own copy of its source.
mkdir -p fetched/src src/bin
touch fetched/src/lib.rs
printf '[package]\nname = "fetched"\nversion = "0.0.0"\n[workspace]\n[dependencies]\nripgrep = "=15.2.0"\n' >fetched/Cargo.toml
debian_cargo vendor --quiet --manifest-path fetched/Cargo.toml vendored >/dev/null
mv vendored/ripgrep ripgrep

tools=($(sed -n 's/^uu_\([a-z0-9]*\) =.*/\1/p' Cargo.toml))
for tool in "${tools[@]}"; do echo "uucore::bin!(uu_$tool);" >"src/bin/u$tool.rs"; done
# The linker with what wasi-libc lacks.
cc -Os -c "$GUESTS/programs/rust/port.c" -o port.o
printf '#!/bin/sh\nexec wasm-ld-%s "$@" %q %q --wrap=open --wrap=openat --gc-sections\n' "$LLVM" "$WORK/port.o" "$COMPAT" >ld
chmod +x ld
export CARGO_TARGET_WASM32_WASIP1_LINKER=$WORK/ld
export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-C linker-flavor=wasm-ld -C link-self-contained=no -C target-feature=+crt-static\
 -L /usr/lib/wasm32-wasi -C link-arg=/usr/lib/wasm32-wasi/crt1-command.o -C link-arg=-lc"
debian_cargo build --release --locked --workspace --target wasm32-wasip1 -Zbuild-std=std,panic_abort -Zbuild-std-features= -j "$JOBS"
for tool in "${tools[@]}"; do mv "target/wasm32-wasip1/release/u$tool.wasm" "$WASM/u$tool.wasm"; done
mv target/wasm32-wasip1/release/rg.wasm "$WASM/rg.wasm"
