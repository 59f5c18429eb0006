//! Files as POSIX has them, through real host calls, in a directory as root: every case with
//! paths resolved by `openat2` and by walking.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod fast {
    const WALK: bool = false;
    include!("cases.rs");
}

mod walking {
    const WALK: bool = true;
    include!("cases.rs");
}
