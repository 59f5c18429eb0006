//! The forwarder on this kernel.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use vkernel::audit::{Audit, Discard};
use vkernel::descriptor::{Descriptor, FdTable};
use vkernel::fs::{Root, Vfs};
use vkernel::host::HostLinker;
use vkernel::kill::KillToken;
use vkernel::plan::NetworkPolicy;
use vkernel::process::{ProcState, Program, Winding};
use vkernel::rights::HostCallSet;
use wasmtime::{Config, Engine, Instance, Store, StoreLimits, Val};

use super::{Arg, FUNCTIONS, Side, forwarder, vkernel_functions};

/// A process of this kernel with everything allowed.
pub struct Ours {
    store: Store<ProcState>,
    instance: Instance,
}

impl Ours {
    /// A process in a root at `dir`, the root at descriptor 3.
    pub fn at(dir: &Path) -> Ours {
        let dir = std::fs::File::open(dir).unwrap();
        Self::new(Vfs::new(Root::At(dir.into())).unwrap())
    }

    /// A process in the calling process's own root.
    pub fn in_process_root() -> Ours {
        Self::new(Vfs::new(Root::Process).unwrap())
    }

    pub fn new(vfs: Vfs) -> Ours {
        let mut fds = FdTable::new(64);
        let root = vfs.root_directory();
        fds.insert_at(3, Descriptor::preopen(root, b"/")).unwrap();
        let null = || {
            std::fs::File::options()
                .read(true)
                .write(true)
                .open("/dev/null")
                .unwrap()
        };
        for fd in 0..3 {
            fds.insert_at(fd, Descriptor::inherited(null().into()).unwrap())
                .unwrap();
        }
        let state = ProcState {
            pid: 1,
            argv: vec![b"/usr/bin/guest".to_vec(), b"argument".to_vec()],
            env: Vec::new(),
            cwd: b"/".to_vec(),
            umask: 0o022,
            rights: HostCallSet::from_bits(u128::MAX),
            fds,
            vfs: Arc::new(vfs),
            networking: NetworkPolicy::Host,
            rlimits: vkernel::rlimits::Rlimits::new(&vkernel::kernel::Limits::default()),
            kill: KillToken::default(),
            limits: StoreLimits::default(),
            audit: Arc::new(Audit::new("test".into(), Box::new(Discard))),
            program: Arc::new(Program {
                path: "/usr/bin/guest".into(),
                digest: megabinary::digest::Digest::of(b""),
                entry: "guest_start".into(),
            }),
            memory: None,
            laid: None,
            winding: Winding::No,
            handlers: 0,
            deliver: None,
            reported: HostCallSet::EMPTY,
            denials: 0,
            answer: Vec::new(),
            locating: false,
            system: None,
        };
        let engine = Engine::new(&Config::new()).unwrap();
        let module = forwarder(&engine, FUNCTIONS, &vkernel_functions());
        let mut linker = HostLinker::new(&engine, &module);
        vkernel::wasi::register(&mut linker).unwrap();
        vkernel::vk::register(&mut linker).unwrap();
        let mut store = Store::new(&engine, state);
        let linked = linker.instantiate_pre().unwrap();
        let instance = linked.instantiate(&mut store).unwrap();
        let memory = instance.get_memory(&mut store, "memory");
        store.data_mut().memory = memory;
        Ours { store, instance }
    }

    /// The process's state, to look into or change.
    pub fn state(&mut self) -> &mut ProcState {
        self.store.data_mut()
    }

    /// Hands a host descriptor in at a number.
    pub fn give(&mut self, number: u32, fd: impl Into<OwnedFd>) {
        let descriptor = Descriptor::inherited(fd.into()).unwrap();
        self.state().fds.insert_at(number, descriptor).unwrap();
    }
}

impl Side for Ours {
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
