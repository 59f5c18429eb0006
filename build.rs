//! Lays the functions that commands execute beside each other in the file: `layout.ld`.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=layout.ld");
    // What is shipped is static. Other builds keep to what their linker does by itself.
    let features = var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if features.split(',').any(|feature| feature == "crt-static") {
        let folder = var("CARGO_MANIFEST_DIR").expect("cargo names the package's folder");
        println!("cargo::rustc-link-arg-bins=-Wl,--script={folder}/layout.ld");
    }
}
