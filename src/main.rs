//! The megarun OCI runtime.
fn main() {}
