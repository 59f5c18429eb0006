//! Making, filling, signalling, freezing and removing a container's cgroups.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_spec::runtime::LinuxResources;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;

use super::devices::DeviceRule;
use super::resources::{self, Version, Write};
use super::{CgroupError, CgroupPaths, V1Path, device_program, devices};
use crate::container::Intent;
use crate::container::ProcessId;
use crate::container::intent::IntendedCgroup;
use crate::failure::{Doing, Failure};
use crate::init::request::{Handed, Handing};
use crate::sys::bpf;

/// How long killed processes may take to go, and a freezer to freeze.
const PATIENCE: Duration = Duration::from_secs(10);

impl CgroupPaths {
    /// All directories, v1 first.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        self.v1
            .iter()
            .map(|at| at.path.as_path())
            .chain(self.v2.as_deref())
    }

    /// Which interface limits are written to: v1's where any controller is there.
    pub fn version(&self) -> Version {
        if self.v1.iter().any(|at| !at.controllers.is_empty()) {
            Version::V1
        } else {
            Version::V2
        }
    }

    /// The first directory that this process may not make.
    pub fn forbidden(&self) -> Option<&Path> {
        self.all().find(|path| {
            let there = path.ancestors().find(|at| at.exists());
            let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
            let flags = rustix::fs::AtFlags::EACCESS;
            there.is_none_or(|at| rustix::fs::accessat(rustix::fs::CWD, at, access, flags).is_err())
        })
    }

    /// Checks, before anything is made, that no cgroup of the container has strangers in it, and
    /// that who enters them would go on.
    pub fn check_unused(&self) -> Result<(), CgroupError> {
        match self.all().find(|path| has_processes(path)) {
            Some(path) => Err(CgroupError::InUse(path.to_owned())),
            None => self.check_thawed(),
        }
    }

    /// Whoever enters a frozen cgroup stands still, and who waits for that one does too.
    pub fn check_thawed(&self) -> Result<(), CgroupError> {
        match self.is_frozen() {
            true => Err(CgroupError::Frozen),
            false => Ok(()),
        }
    }

    /// The intent to make these directories, none of which exists for certain yet.
    pub fn intent(&self) -> Intent {
        let cgroups = self.all().map(|path| IntendedCgroup {
            path: path.to_owned(),
            inode: None,
        });
        Intent {
            cgroups: cgroups.collect(),
            unit: self.unit.clone(),
        }
    }

    /// Makes the directories; the intent with their inodes is for the caller to record before any
    /// process enters them.
    pub fn make(&self) -> Result<Intent, CgroupError> {
        let mut made = Intent {
            unit: self.unit.clone(),
            ..Intent::default()
        };
        for at in &self.v1 {
            let cpuset = at
                .controllers
                .iter()
                .any(|controller| controller == "cpuset");
            make_path(&at.mount_point, &at.path, |dir| {
                if cpuset { inherit_cpuset(dir) } else { Ok(()) }
            })?;
        }
        if let Some(path) = &self.v2 {
            fs::create_dir_all(path).doing(|| format!("making cgroup `{}`", path.display()))?;
        }
        for path in self.all() {
            let meta = fs::metadata(path).doing(|| format!("reading `{}`", path.display()))?;
            made.cgroups.push(IntendedCgroup {
                path: path.to_owned(),
                inode: Some(meta.ino()),
            });
        }
        Ok(made)
    }

    /// Applies the limits and, with `with_devices`, the device rules of config.json.
    pub fn apply(&self, limits: &LinuxResources, with_devices: bool) -> Result<(), CgroupError> {
        let version = self.version();
        let writes = resources::writes(limits, version)?;
        let rules = match with_devices {
            true => devices::rules(limits.devices().as_deref().unwrap_or_default())?,
            false => Vec::new(),
        };
        match version {
            Version::V1 => self.apply_v1(&writes)?,
            Version::V2 => self.apply_v2(&writes)?,
        }
        if rules.is_empty() {
            return Ok(());
        }
        match (self.v1_dir("devices"), &self.v2) {
            (Some(dir), _) => rules.iter().try_for_each(|rule| {
                let (file, line) = rule.v1();
                write_file(&dir.join(file), &line)
            }),
            (None, Some(_)) => self.filter_devices(&rules),
            (None, None) => Err(CgroupError::Unsupported {
                field: "devices".to_owned(),
                reason: "this host has neither a cgroup v1 devices controller nor cgroup v2; \
                         remove the rules from config.json or mount /sys/fs/cgroup"
                    .to_owned(),
            }),
        }
    }

    fn filter_devices(&self, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        let doing = || "linux.resources.devices: filtering devices on cgroup v2 (bpf)".to_owned();
        let Some(cgroup) = self.open_v2()? else {
            return Ok(());
        };
        let program = bpf::load_device_program(&device_program::compile(rules)).doing(doing)?;
        Ok(bpf::attach_device_program(cgroup.as_fd(), &program).doing(doing)?)
    }

    fn apply_v1(&self, writes: &[Write]) -> Result<(), CgroupError> {
        let mut writes = writes.to_vec();
        if let Some(memory) = self.v1_dir("memory") {
            let both = fs::read_to_string(memory.join(resources::MEMORY_AND_SWAP));
            let both = both.ok().and_then(|text| text.trim().parse().ok());
            resources::order_memory(&mut writes, both);
        }
        let mut late = None;
        for write in &writes {
            let dir = self
                .v1_dir(write.controller)
                .ok_or_else(|| missing(write))?;
            match put(dir, write) {
                // With the old quota it would be more of the processor than a parent allows.
                Err(CgroupError::System(error))
                    if error.is(Errno::INVAL)
                        && write.file == resources::CPU_PERIOD
                        && writes
                            .iter()
                            .any(|other| other.file == resources::CPU_QUOTA) =>
                {
                    late = Some(write);
                }
                written => written?,
            }
            if write.file == resources::CPU_QUOTA
                && let Some(period) = late.take()
            {
                put(dir, period)?;
            }
        }
        Ok(())
    }

    fn apply_v2(&self, writes: &[Write]) -> Result<(), CgroupError> {
        let Some(leaf) = &self.v2 else {
            return writes.first().map_or(Ok(()), |write| Err(missing(write)));
        };
        for write in writes {
            let controller = match write.controller {
                "" => write.file.split('.').next().unwrap_or_default(),
                controller => controller,
            };
            enable(leaf, controller).map_err(|()| missing(write))?;
            put(leaf, write)?;
        }
        Ok(())
    }

    fn v1_dir(&self, controller: &str) -> Option<&Path> {
        let has = |known: &Vec<String>| known.iter().any(|known| known == controller);
        self.v1
            .iter()
            .find(|at| has(&at.controllers))
            .map(|at| at.path.as_path())
    }

    /// Hands over the `tasks` file of each v1 directory, which need not be there yet, open for
    /// writing: a single-threaded process that writes 0 to one enters it without the global lock
    /// that naming another process takes.
    pub fn hand_tasks(&self, handing: &mut Handing) -> Vec<Handed> {
        let hand = |at: &V1Path| {
            let path = at.path.join("tasks");
            handing.give_later(move || {
                rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
                    .doing(|| format!("opening `{}`", path.display()))
            })
        };
        self.v1.iter().map(hand).collect()
    }

    /// The v2 directory, for cloning a process into it.
    pub fn open_v2(&self) -> Result<Option<OwnedFd>, CgroupError> {
        let open = |path: &PathBuf| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
                .doing(|| format!("opening `{}`", path.display()))
        };
        Ok(self.v2.as_ref().map(open).transpose()?)
    }

    /// The pids in the container, from whichever hierarchy knows them; none without cgroups.
    pub fn pids(&self) -> Option<Vec<i32>> {
        self.all().find_map(|path| pids_below(path).ok())
    }

    /// Sends a signal to every process of the container.
    pub fn signal_all(&self, signal: Signal) -> Result<(), CgroupError> {
        for pid in self.pids().unwrap_or_default() {
            signal_one(pid, signal)?;
        }
        Ok(())
    }

    /// Stops or continues all processes of the container.
    pub fn freeze(&self, freeze: bool) -> Result<(), CgroupError> {
        let (path, value, field) = match (self.v1_dir("freezer"), &self.v2) {
            (Some(dir), _) => (
                dir.join("freezer.state"),
                if freeze { "FROZEN" } else { "THAWED" },
                None,
            ),
            (None, Some(dir)) => {
                let value = if freeze { "1" } else { "0" };
                (
                    dir.join("cgroup.freeze"),
                    value,
                    Some(dir.join("cgroup.events")),
                )
            }
            (None, None) => return Err(CgroupError::NoFreezer),
        };
        let done = || match &field {
            None => fs::read_to_string(&path).is_ok_and(|state| state.trim() == value),
            Some(events) => fs::read_to_string(events)
                .is_ok_and(|events| events.contains(&format!("frozen {value}"))),
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            // v1 stays in FREEZING when a process forks meanwhile; writing again goes on with it.
            write_file(&path, value)?;
            if done() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let wanted = if freeze { "frozen" } else { "thawed" };
                return Err(CgroupError::Freeze { path, wanted });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether the container is paused.
    pub fn is_frozen(&self) -> bool {
        let is = |path: PathBuf, value: &str| {
            fs::read_to_string(path).is_ok_and(|state| state.trim() == value)
        };
        self.v1_dir("freezer")
            .is_some_and(|dir| is(dir.join("freezer.state"), "FROZEN"))
            || self
                .v2
                .as_ref()
                .is_some_and(|dir| is(dir.join("cgroup.freeze"), "1"))
    }
}

impl Intent {
    /// Removes the cgroups that the intent lists, killing who is left in those that are certainly
    /// the container's own.
    pub fn remove_cgroups(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + PATIENCE;
        // Mostly nobody is left in any. The freezer's comes last: it may be needed for the others.
        let busy = |cgroup: &&IntendedCgroup| fs::remove_dir(&cgroup.path).is_err();
        let freezes = |cgroup: &&IntendedCgroup| cgroup.path.iter().any(|name| name == "freezer");
        let (freezer, others): (Vec<_>, Vec<_>) = self.cgroups.iter().partition(freezes);
        let mut left: Vec<_> = others.into_iter().filter(busy).collect();
        let home = freezer.first().filter(|_| !left.is_empty());
        let home = home.map(|cgroup| cgroup.path.as_path());
        left.extend(
            freezer
                .iter()
                .filter(|cgroup| home.is_some() || busy(cgroup)),
        );
        let ours = |cgroup: &IntendedCgroup| {
            let inode = fs::metadata(&cgroup.path).map(|meta| meta.ino()).ok();
            inode.is_some() && inode == cgroup.inode
        };
        // The freezer's directory need not come first, and who is frozen leaves none of them.
        left.iter()
            .filter(|cgroup| ours(cgroup))
            .for_each(|cgroup| thaw(&cgroup.path));
        for cgroup in left {
            remove(&cgroup.path, ours(cgroup), home, deadline)?;
        }
        // Without processes it has ended: what is left is to have it forgotten.
        if let Some(unit) = &self.unit
            && let Err(error) = unit.stop()
        {
            log::warn!("{error}");
        }
        Ok(())
    }
}

/// Removes a cgroup with those below it. Tries before killing: mostly nobody is left. Whoever is
/// killed is brought home into the container's own freezer first: somebody may have moved it into
/// one that is frozen, where it would never die.
fn remove(
    path: &Path,
    kill: bool,
    home: Option<&Path>,
    deadline: Instant,
) -> Result<(), CgroupError> {
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() != Some(libc::EBUSY) => {
                // A file system that may not be written does not say that there is nothing.
                if fs::symlink_metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
                    return Ok(());
                }
                return Err(
                    Failure::new(format!("removing cgroup `{}`", path.display()), error).into(),
                );
            }
            // Somebody else's: not ours to empty.
            Err(_) if !kill => return Ok(()),
            Err(_) => {}
        }
        if Instant::now() > deadline {
            return Err(CgroupError::StillBusy(path.to_owned()));
        }
        thaw(path);
        for pid in pids_in(path).unwrap_or_default() {
            signal_one(pid, Signal::KILL)?;
            if let Some(home) = home {
                // Best effort: where it fails, the deadline reports it.
                let _ = fs::write(home.join("cgroup.procs"), pid.to_string());
            }
        }
        for child in fs::read_dir(path).into_iter().flatten().flatten() {
            if child.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&child.path(), true, home, deadline)?;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A frozen v1 process does not die of SIGKILL until it is thawed.
fn thaw(path: &Path) {
    let state = path.join("freezer.state");
    if fs::read_to_string(&state).is_ok_and(|state| state.trim() != "THAWED") {
        // Best effort: where it fails, the removal's own deadline reports it.
        let _ = fs::write(state, "THAWED");
    }
}

fn signal_one(pid: i32, signal: Signal) -> Result<(), CgroupError> {
    match ProcessId::of(pid).map(|process| process.signal(signal)) {
        Ok(Ok(()) | Err(Errno::SRCH)) | Err(_) => Ok(()),
        Ok(Err(error)) => Err(Failure::new(format!("signalling process {pid}"), error).into()),
    }
}

fn has_processes(path: &Path) -> bool {
    pids_in(path).is_ok_and(|pids| !pids.is_empty())
}

/// The same with those below it, which the container may have made.
fn pids_below(path: &Path) -> io::Result<Vec<i32>> {
    let mut pids = pids_in(path)?;
    for below in fs::read_dir(path)?.flatten() {
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            // One that has just been removed has nobody in it.
            pids.extend(pids_below(&below.path()).unwrap_or_default());
        }
    }
    Ok(pids)
}

fn pids_in(path: &Path) -> io::Result<Vec<i32>> {
    let text = fs::read_to_string(path.join("cgroup.procs"))?;
    Ok(text
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 0)
        .collect())
}

fn make_path(
    root: &Path,
    path: &Path,
    each: impl Fn(&Path) -> Result<(), CgroupError>,
) -> Result<(), CgroupError> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let mut dir = root.to_owned();
    for component in below {
        dir.push(component);
        match fs::create_dir(&dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(
                    Failure::new(format!("making cgroup `{}`", dir.display()), error).into(),
                );
            }
        }
        each(&dir)?;
    }
    Ok(())
}

/// A v1 cpuset takes no process before it has processors and memory nodes.
fn inherit_cpuset(dir: &Path) -> Result<(), CgroupError> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = fs::read_to_string(dir.join(file)).unwrap_or_default();
        let parent = dir.parent().map(|parent| parent.join(file));
        if own.trim().is_empty()
            && let Some(parent) = parent
        {
            let value =
                fs::read_to_string(&parent).doing(|| format!("reading `{}`", parent.display()))?;
            write_file(&dir.join(file), value.trim())?;
        }
    }
    Ok(())
}

/// Enables a v2 controller in every ancestor of `leaf`.
fn enable(leaf: &Path, controller: &str) -> Result<(), ()> {
    let has = |dir: &Path| {
        fs::read_to_string(dir.join("cgroup.controllers"))
            .is_ok_and(|list| list.split_ascii_whitespace().any(|name| name == controller))
    };
    if has(leaf) {
        return Ok(());
    }
    let mut ancestors: Vec<&Path> = leaf.ancestors().skip(1).collect();
    ancestors.reverse();
    for dir in ancestors {
        if dir.join("cgroup.subtree_control").exists() && has(dir) {
            // Whether it worked shows in the leaf.
            let _ = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    if has(leaf) { Ok(()) } else { Err(()) }
}

fn missing(write: &Write) -> CgroupError {
    let reason = match write.controller {
        "" => "its controller is not available here; remove the field".to_owned(),
        controller => {
            format!(
                "this host has no `{controller}` cgroup controller; remove the field or enable it"
            )
        }
    };
    CgroupError::Unsupported {
        field: write.field.to_owned(),
        reason,
    }
}

fn put(dir: &Path, write: &Write) -> Result<(), CgroupError> {
    let mut path = dir.join(&write.file);
    if !path.exists()
        && let Some(rest) = write.file.strip_prefix("blkio.")
    {
        // Weights are a matter of the scheduler, and the one that is left has its own files.
        path = dir.join(format!("blkio.bfq.{rest}"));
    }
    if !path.exists() {
        let reason = format!("this kernel has no `{}`; remove the field", write.file);
        return Err(CgroupError::Unsupported {
            field: write.field.to_owned(),
            reason,
        });
    }
    fs::write(&path, &write.value)
        .doing(|| {
            let field = write.field;
            format!(
                "linux.resources.{field}: writing `{}` to `{}`",
                write.value,
                path.display()
            )
        })
        .map_err(CgroupError::from)
}

fn write_file(path: &Path, value: &str) -> Result<(), CgroupError> {
    Ok(fs::write(path, value).doing(|| format!("writing `{value}` to `{}`", path.display()))?)
}
