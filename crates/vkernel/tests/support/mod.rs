//! Drives host calls from Rust, through a real engine, against this kernel and against
//! `wasmtime-wasi`.
//!
//! The guest is a module that imports every function of preview 1 and exports it again, so each
//! call passes the whole way (filter, memory, action) with arguments that the test chooses.

#![allow(dead_code, reason = "each test file uses its own part")]

mod calls;
mod ours;
mod reference;

#[allow(unused_imports, reason = "each test file uses its own part")]
pub use calls::{Calls, Dirent, Stat, rights};
#[allow(unused_imports, reason = "each test file uses its own part")]
pub use ours::Ours;
#[allow(unused_imports, reason = "each test file uses its own part")]
pub use reference::Reference;

use megabinary::capability::{HostCall, VKERNEL_MODULE};
use wasmtime::{Engine, Module};

/// A guest whose host calls the test makes.
pub trait Side {
    /// Calls an imported function; the errno, or what ended the guest.
    fn call(&mut self, name: &str, args: &[Arg]) -> Result<u16, String>;
    /// Its memory.
    fn memory(&mut self) -> &mut [u8];
}

/// An argument of a host call.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    W(u32),
    D(u64),
}

impl From<Arg> for wasmtime::Val {
    fn from(arg: Arg) -> Self {
        match arg {
            Arg::W(word) => wasmtime::Val::I32(word as i32),
            Arg::D(word) => wasmtime::Val::I64(word as i64),
        }
    }
}

/// Every function that returns an errno: name and arguments, `w` 32 and `d` 64 bits.
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("args_get", "ww"),
    ("args_sizes_get", "ww"),
    ("environ_get", "ww"),
    ("environ_sizes_get", "ww"),
    ("clock_res_get", "ww"),
    ("clock_time_get", "wdw"),
    ("fd_advise", "wddw"),
    ("fd_allocate", "wdd"),
    ("fd_close", "w"),
    ("fd_datasync", "w"),
    ("fd_fdstat_get", "ww"),
    ("fd_fdstat_set_flags", "ww"),
    ("fd_fdstat_set_rights", "wdd"),
    ("fd_filestat_get", "ww"),
    ("fd_filestat_set_size", "wd"),
    ("fd_filestat_set_times", "wddw"),
    ("fd_pread", "wwwdw"),
    ("fd_prestat_get", "ww"),
    ("fd_prestat_dir_name", "www"),
    ("fd_pwrite", "wwwdw"),
    ("fd_read", "wwww"),
    ("fd_readdir", "wwwdw"),
    ("fd_renumber", "ww"),
    ("fd_seek", "wdww"),
    ("fd_sync", "w"),
    ("fd_tell", "ww"),
    ("fd_write", "wwww"),
    ("path_create_directory", "www"),
    ("path_filestat_get", "wwwww"),
    ("path_filestat_set_times", "wwwwddw"),
    ("path_link", "wwwwwww"),
    ("path_open", "wwwwwddww"),
    ("path_readlink", "wwwwww"),
    ("path_remove_directory", "www"),
    ("path_rename", "wwwwww"),
    ("path_symlink", "wwwww"),
    ("path_unlink_file", "www"),
    ("poll_oneoff", "wwww"),
    ("proc_raise", "w"),
    ("random_get", "ww"),
    ("sched_yield", ""),
    ("sock_accept", "www"),
    ("sock_recv", "wwwwww"),
    ("sock_send", "wwwww"),
    ("sock_shutdown", "ww"),
];

fn types(letters: &str) -> String {
    letters
        .chars()
        .map(|letter| if letter == 'w' { " i32" } else { " i64" })
        .collect()
}

/// The functions of module vkernel, as [`FUNCTIONS`] has those of preview 1.
pub fn vkernel_functions() -> Vec<(&'static str, String)> {
    let mut functions: Vec<_> = HostCall::ALL
        .iter()
        .filter(|call| call.module() == VKERNEL_MODULE)
        .filter_map(|call| Some((call.function(), call.signature()?)))
        .map(|(name, signature)| {
            let params = signature.split('>').next().unwrap_or_default();
            (name, params.replace('i', "w").replace('I', "d"))
        })
        .collect();
    // One that has a call for each operation is there once.
    functions.dedup();
    functions
}

/// The module that exports what it imports: functions of preview 1, and of module vkernel.
pub fn forwarder(engine: &Engine, preview1: &[(&str, &str)], vkernel: &[(&str, String)]) -> Module {
    let mut text = String::from("(module\n");
    let mut functions = Vec::new();
    functions.extend(
        preview1
            .iter()
            .map(|(name, letters)| ("wasi_snapshot_preview1", *name, (*letters).to_owned())),
    );
    functions
        .extend((vkernel.iter()).map(|(name, letters)| (VKERNEL_MODULE, *name, letters.clone())));
    for (module, name, letters) in &functions {
        let params = types(letters);
        text.push_str(&format!(
            "(import \"{module}\" \"{name}\" (func ${name} (param{params}) (result i32)))\n"
        ));
    }
    text.push_str("(memory (export \"memory\") 64)\n");
    for (_, name, letters) in &functions {
        let params = types(letters);
        let gets: String = (0..letters.len())
            .map(|at| format!(" local.get {at}"))
            .collect();
        text.push_str(&format!(
            "(func (export \"{name}\") (param{params}) (result i32){gets} call ${name})\n"
        ));
    }
    text.push(')');
    Module::new(engine, text).expect("the forwarder is a module")
}
