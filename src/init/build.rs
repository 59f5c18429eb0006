//! Building the container, from inside its new namespaces.

use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::Process;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::channel::{Channel, Message};
use super::request::{Build, Received};
use super::{Cgroups, InitError, adopt_terminal, expect};
use crate::failure::{Doing, Failure};
use crate::sandbox::mounts::{Source, Step};
use crate::sandbox::rootfs::{MountNamespace, Rootfs};
use crate::sandbox::{credentials, devices, hooks, mounts, namespaces, network, sysctl, terminal};

/// Makes everything of config.json that is not the process itself, and enters it.
pub fn build(
    channel: &Channel,
    cgroups: Cgroups<'_>,
    mut build: Build,
    process: &Process,
    console: Option<&OwnedFd>,
    received: &mut Received,
) -> Result<(), InitError> {
    // While the host's procfs is still there.
    credentials::set_oom_score(process)?;
    let mount_namespace = build.mount_namespace;
    for (flag, namespace) in build.join {
        namespaces::join(flag, &received.take(&namespace, "a namespace")?)?;
    }
    if build.loopback {
        network::loopback_up()?;
    }
    if let Some(name) = &build.hostname {
        nix::unistd::sethostname(name).doing(|| format!("setting the host name `{name}`"))?;
    }
    if let Some(name) = &build.domainname {
        crate::sys::names::set_domain(name)
            .doing(|| format!("setting the domain name `{name}`"))?;
    }
    sysctl::write(&build.sysctl)?;

    let null = rustix::fs::open("/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .doing(|| "opening the host's /dev/null")?;
    let propagation = build.rootfs_propagation.map_or(0, |(flag, _)| flag);
    let root = Rootfs::attach(
        received.take(&build.rootfs, "the root file system")?,
        &build.rootfs_path,
        mount_namespace,
        propagation,
    )?;
    let first = build.mounts.iter().position(Step::waits_for_cgroups);
    let later = build.mounts.split_off(first.unwrap_or(build.mounts.len()));
    let attach = |step, received: &mut Received| {
        mounts::attach::step(&root, step, received)
            .map_err(|failure| nowhere(failure, mount_namespace))
    };
    let sealed = match mount_namespace {
        MountNamespace::Own | MountNamespace::Joined => take_read_only_dev(&mut build.mounts),
        // What is attached nowhere cannot be changed any more.
        MountNamespace::Runtimes => false,
    };
    for step in build.mounts {
        attach(step, received)?;
    }
    cgroups.enter(received)?;
    if build.new_cgroup_namespace {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWCGROUP)
            .doing(|| "making a cgroup namespace")?;
    }
    for step in later {
        attach(step, received)?;
    }
    if let Some(devices) = build.devices {
        devices::make(&root, devices, received)?;
    }
    // As runc: an image's or a pod's working directory need not be there.
    root.make_dir(process.cwd())?;
    if build.tells_mounted {
        channel.send(&Message::Mounted)?;
        expect(channel, &Message::HooksDone)?;
    }
    // Which is still somewhere in the host's.
    root.work_in()?;
    hooks::run(
        "createContainer",
        &build.hooks,
        &build.state,
        Path::new("."),
    )?;

    let slave = match console {
        Some(console) => {
            let slave = terminal::make(process, console, &root)?;
            terminal::bind_console(&root, &slave)?;
            Some(slave)
        }
        None => None,
    };
    if sealed {
        root.seal(Path::new("/dev"))?;
    }
    root.make_read_only(&build.read_only)?;
    root.mask(&build.masked, &null)?;
    root.enter(
        mount_namespace,
        build.pivot,
        build.rootfs_read_only,
        build.rootfs_propagation,
    )?;
    adopt_terminal(slave.as_ref())?;
    Ok(())
}

/// A file system on `/dev` has to be filled before it is read-only. Leaves that to the end, and says
/// whether there is one.
fn take_read_only_dev(mounts: &mut [Step]) -> bool {
    let mut found = false;
    for step in mounts {
        if let Source::Filesystem(filesystem) = &mut step.source
            && step.destination == Path::new("/dev")
        {
            found = filesystem.attributes & libc::MOUNT_ATTR_RDONLY != 0;
            filesystem.attributes &= !libc::MOUNT_ATTR_RDONLY;
        }
    }
    found
}

/// What EINVAL means where a mount goes on a file system that is attached nowhere.
fn nowhere(failure: Failure, namespace: MountNamespace) -> Failure {
    match namespace {
        MountNamespace::Runtimes if failure.is(Errno::INVAL) => failure.with_hint(
            "without a `mount` namespace of the container's own that needs Linux 6.15; add one to \
             linux.namespaces",
        ),
        _ => failure,
    }
}
