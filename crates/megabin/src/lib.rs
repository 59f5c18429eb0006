//! The toolchain: links WASI programs into a signed megabinary.

pub mod link;
