//! The forwarder on `wasmtime-wasi`.

use std::path::Path;

use wasmtime::{Engine, Instance, Linker, Store, Val};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::{Arg, FUNCTIONS, Side, forwarder};

/// A process of the reference implementation.
pub struct Reference {
    store: Store<WasiP1Ctx>,
    instance: Instance,
}

impl Reference {
    /// A process with `dir` as its `/` at descriptor 3.
    pub fn at(dir: &Path) -> Reference {
        let context = WasiCtxBuilder::new()
            .preopened_dir(dir, "/", FsPerms::ReadWrite)
            .unwrap()
            .build_p1();
        let engine = Engine::default();
        let mut linker = Linker::new(&engine);
        p1::add_to_linker_sync(&mut linker, |context| context).unwrap();
        let mut store = Store::new(&engine, context);
        let instance = linker
            .instantiate(&mut store, &forwarder(&engine, FUNCTIONS, &[]))
            .unwrap();
        Reference { store, instance }
    }
}

impl Side for Reference {
    fn call(&mut self, name: &str, args: &[Arg]) -> Result<u16, String> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let args: Vec<Val> = args.iter().map(|arg| (*arg).into()).collect();
        let mut result = [Val::I32(0)];
        match function.call(&mut self.store, &args, &mut result) {
            Ok(()) => Ok(result[0].unwrap_i32() as u16),
            Err(error) => Err(error.root_cause().to_string()),
        }
    }

    fn memory(&mut self) -> &mut [u8] {
        let memory = self.instance.get_memory(&mut self.store, "memory").unwrap();
        memory.data_mut(&mut self.store)
    }
}
