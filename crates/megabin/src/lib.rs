//! The toolchain: links WASI programs into one signed module, and everything around that.
//!
//! `recipe` says what to build, `link` makes one module of the programs, `build` adds digests,
//! manifest and root file system; `container` reads back what was built and checks it, `inspect` and `diff` show it. `cli` is the
//! command line, one file per subcommand.

pub mod build;
pub mod bundle;
pub mod cli;
pub mod container;
pub mod diff;
pub mod files;
pub mod image;
pub mod inspect;
pub mod keys;
pub mod link;
pub mod precompile;
pub mod progress;
pub mod recipe;
pub mod rootfs;
pub mod run;
