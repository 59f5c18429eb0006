//! Which host functions a module gets: those that it imports. To define all of them takes longer
//! than a small program runs.

use std::collections::HashSet;

use wasmtime::{Engine, InstancePre, IntoFunc, Linker, Module};

use crate::process::ProcState;

/// Defines host functions for one module.
pub struct HostLinker<'m> {
    linker: Linker<ProcState>,
    module: &'m Module,
    imported: HashSet<(&'m str, &'m str)>,
}

impl<'m> HostLinker<'m> {
    /// With nothing defined yet.
    #[must_use]
    pub fn new(engine: &Engine, module: &'m Module) -> Self {
        let imports = module.imports();
        Self {
            linker: Linker::new(engine),
            module,
            imported: imports.map(|one| (one.module(), one.name())).collect(),
        }
    }

    /// Defines a function, if the module imports it.
    pub fn func_wrap<Params, Results>(
        &mut self,
        module: &str,
        name: &str,
        function: impl IntoFunc<ProcState, Params, Results>,
    ) -> wasmtime::Result<()> {
        if self.imported.contains(&(module, name)) {
            self.linker.func_wrap(module, name, function)?;
        }
        Ok(())
    }

    /// The module with all that it imports; an error names what there is not.
    pub fn instantiate_pre(&self) -> wasmtime::Result<InstancePre<ProcState>> {
        self.linker.instantiate_pre(self.module)
    }
}
