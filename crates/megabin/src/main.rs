//! The megabin toolchain.
fn main() {}
