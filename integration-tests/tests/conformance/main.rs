//! Foreign suites on this runtime, with native code allowed since their programs are. Each has a
//! list, `conformance/<suite>/not-passed.toml`, of what does not pass here, with the reason and
//! with who of crun and runc passes it; a run is compared with it in both directions.

mod crun;
mod list;
mod runc;
mod runtime_tools;
mod tap;
