//! What a process costs while it lives: 1,000 at a time, each on its own thread, waiting in a
//! host call. By the host kernel's account of this program, and of a cgroup around it where one
//! can be made.

#[path = "../tests/common/mod.rs"]
#[allow(dead_code, reason = "it uses a part")]
mod common;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use common::{FD_WRITE, Guest, Images, kernel, ticket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use vkernel::exec::ExecTarget;
use vkernel::kernel::{Kernel, ProcessSpec, Running};
use wasm_encoder::InstructionSink;

const LIVE: u64 = 1000;

/// Touches what a small program of C touches, three pages, and writes to descriptor 1, which is
/// full.
fn wait(sink: &mut InstructionSink<'_>) {
    let memory = |offset| wasm_encoder::MemArg {
        offset,
        align: 2,
        memory_index: 0,
    };
    for page in [0, 4, 15] {
        sink.i32_const(page * 4096)
            .i32_const(1)
            .i32_store(memory(8));
    }
    sink.i32_const(0).i32_const(2000).i32_store(memory(0));
    sink.i32_const(4).i32_const(1).i32_store(memory(0));
    sink.i32_const(1)
        .i32_const(0)
        .i32_const(1)
        .i32_const(8)
        .call(FD_WRITE)
        .drop();
}

/// A pipe with no room.
fn full() -> (OwnedFd, OwnedFd) {
    let (read, write) = rustix::pipe::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&write, true).expect("it is one");
    while rustix::io::write(&write, &[0; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&write, false).expect("it is one");
    (read, write)
}

fn start(kernel: &Kernel, name: &str, out: &OwnedFd) -> Running {
    let spec = ProcessSpec {
        target: ExecTarget::Path(format!("/bin/{name}").into_bytes()),
        argv: vec![name.into()],
        env: vec![b"PATH=/bin".to_vec()],
        cwd: b"/".to_vec(),
        umask: 0o022,
        stdio: [None, Some(out.try_clone().expect("a descriptor")), None],
        passed: Vec::new(),
    };
    kernel.spawn(spec).expect("it starts")
}

/// A number in kB of a file of `Name:  value kB` lines, in bytes.
fn account(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).expect("procfs");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse::<u64>().ok())
        .expect("a number")
        << 10
}

/// A memory cgroup of this program's own.
struct Cgroup {
    path: PathBuf,
    usage: &'static str,
    before: PathBuf,
}

impl Cgroup {
    fn enter() -> Option<Cgroup> {
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let (root, usage, inside) = own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (kinds, path) = (parts.next()?, parts.next()?);
            let memory = kinds.split(',').any(|kind| kind == "memory");
            match memory {
                true => Some(("/sys/fs/cgroup/memory", "memory.usage_in_bytes", path)),
                false if kinds.is_empty() && !own.contains("memory") => {
                    Some(("/sys/fs/cgroup", "memory.current", path))
                }
                false => None,
            }
        })?;
        let before = Path::new(root).join(inside.trim_start_matches('/'));
        let path = before.join(format!("megarun-live-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        let cgroup = Cgroup {
            path,
            usage,
            before,
        };
        let entered = std::fs::write(cgroup.path.join("cgroup.procs"), "0").is_ok();
        (entered && cgroup.path.join(usage).exists()).then_some(cgroup)
    }

    fn usage(&self) -> u64 {
        let text = std::fs::read_to_string(self.path.join(self.usage)).expect("its account");
        text.trim().parse().expect("a number")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::write(self.before.join("cgroup.procs"), "0");
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Proportional share, page tables, and the cgroup's account, in bytes.
fn measure(cgroup: Option<&Cgroup>) -> [u64; 3] {
    [
        account("/proc/self/smaps_rollup", "Pss:"),
        account("/proc/self/status", "VmPTE:"),
        cgroup.map_or(0, Cgroup::usage),
    ]
}

fn main() {
    // For each its standard output, root directory and event descriptors.
    let limit = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: limit,
        maximum: limit,
    };
    setrlimit(Resource::Nofile, raised).expect("up to the maximum");
    let cgroup = Cgroup::enter();
    let dir = tempfile::tempdir().expect("a directory");
    let guest = |name, size| Guest {
        name,
        image: vec![7; size],
        body: wait,
    };
    let guests = [guest("small", 2000), guest("data1m", 1 << 20)];
    let files = [
        ticket("/bin/small", "small"),
        ticket("/bin/data1m", "data1m"),
    ];
    let kernel = kernel(dir.path(), &guests, &files, &["write"], Images::Host);
    println!("{LIVE} live processes on threads, for each:");
    for name in ["small", "data1m"] {
        let (read, write) = full();
        let first = start(&kernel, name, &write);
        let before = measure(cgroup.as_ref());
        let live: Vec<Running> = (0..LIVE).map(|_| start(&kernel, name, &write)).collect();
        // All are in their host call once the last ones had time to get there.
        std::thread::sleep(std::time::Duration::from_millis(500));
        let after = measure(cgroup.as_ref());
        let each = |at: usize| (after[at] as f64 - before[at] as f64) / LIVE as f64 / 1024.0;
        println!(
            "{name:<10} {:>6.1} KiB PSS, {:.1} KiB page tables{}",
            each(0),
            each(1),
            match cgroup {
                Some(_) => format!(", {:.1} KiB by the cgroup's account", each(2)),
                None => String::new(),
            }
        );
        drop(read);
        for running in live.into_iter().chain([first]) {
            // Nobody reads: SIGPIPE.
            assert_eq!(running.wait().code(), 141);
        }
    }
}
