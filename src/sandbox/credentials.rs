//! Who the container's process is and what it may use: user, groups, limits, capabilities.

use oci_spec::runtime::{PosixRlimit, PosixRlimitType, Process};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{Gid, Uid};

use super::capabilities::Sets;
use crate::failure::{Doing, Failure};

/// Sets `process.oomScoreAdj`, through the host's procfs.
pub fn set_oom_score(process: &Process) -> Result<(), Failure> {
    match process.oom_score_adj() {
        Some(score) => std::fs::write("/proc/self/oom_score_adj", score.to_string())
            .doing(|| format!("setting process.oomScoreAdj to {score}")),
        None => Ok(()),
    }
}

/// What the process is going to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// Programs in the virtual kernel: it executes no file again.
    Guests,
    /// A native program, by an exec.
    Native,
}

/// Where the process's supplementary groups come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// `process.user.additionalGids`.
    Configured,
    /// They are whatever the runtime has: crun's annotation [`KEEP_GROUPS`].
    Kept,
}

/// What `podman run --group-add keep-groups` asks for.
pub const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

/// Becomes the user of config.json with its limits and capabilities, for good.
pub fn apply(process: &Process, groups: Groups, runs: Runs) -> Result<(), Failure> {
    for limit in process.rlimits().iter().flatten() {
        set_limit(limit, runs)?;
    }
    let sets = Sets::parse(process.capabilities().as_ref());
    let sets = match runs {
        Runs::Guests => sets.for_guests(process.user().uid()),
        Runs::Native => sets,
    };
    sets.drop_bounding()?;
    rustix::thread::set_keep_capabilities(true)
        .doing(|| "keeping capabilities over the change of user")?;
    let user = process.user();
    if groups == Groups::Configured {
        let additional = user.additional_gids().iter().flatten();
        let additional: Vec<Gid> = additional.map(|gid| Gid::from_raw(*gid)).collect();
        rustix::thread::set_thread_groups(&additional)
            .doing(|| "setting process.user.additionalGids")?;
    }
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .doing(|| format!("changing to group {}", user.gid()))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
        .doing(|| format!("changing to user {}", user.uid()))?;
    rustix::thread::set_keep_capabilities(false).doing(|| "no longer keeping capabilities")?;
    sets.apply()?;
    // Of guests always: nothing here executes a file, so nothing can need what it would deny.
    if runs == Runs::Guests || process.no_new_privileges() == Some(true) {
        rustix::thread::set_no_new_privs(true).doing(|| "setting no_new_privs")?;
    }
    let umask = user.umask().unwrap_or(0o022);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask & 0o777));
    Ok(())
}

fn set_limit(limit: &PosixRlimit, runs: Runs) -> Result<(), Failure> {
    let guests = runs == Runs::Guests;
    let resource = match limit.typ() {
        // The virtual kernel applies these to each of its processes. As limits of the host process
        // they would hit the engine, which reserves address space far ahead of use, and all
        // virtual processes together.
        PosixRlimitType::RlimitAs | PosixRlimitType::RlimitFsize if guests => return Ok(()),
        PosixRlimitType::RlimitNofile if guests => return raise_descriptors(limit),
        PosixRlimitType::RlimitAs => Resource::As,
        PosixRlimitType::RlimitFsize => Resource::Fsize,
        PosixRlimitType::RlimitNofile => Resource::Nofile,
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Rss,
        PosixRlimitType::RlimitNproc => Resource::Nproc,
        PosixRlimitType::RlimitMemlock => Resource::Memlock,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::Sigpending,
        PosixRlimitType::RlimitMsgqueue => Resource::Msgqueue,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::Rtprio,
        PosixRlimitType::RlimitRttime => Resource::Rttime,
    };
    let bound = |value: u64| (value != u64::MAX).then_some(value);
    let new = Rlimit {
        current: bound(limit.soft()),
        maximum: bound(limit.hard()),
    };
    rustix::process::setrlimit(resource, new).doing(|| {
        format!(
            "setting {} to {}:{} (process.rlimits)",
            limit.typ(),
            limit.soft(),
            limit.hard()
        )
    })
}

/// The host process holds the descriptors of all virtual processes: it gets at least what one may
/// have, and keeps more where it has more.
fn raise_descriptors(limit: &PosixRlimit) -> Result<(), Failure> {
    let own = rustix::process::getrlimit(Resource::Nofile);
    let at_least = |own: Option<u64>, wanted: u64| own.map(|own| own.max(wanted));
    let new = Rlimit {
        current: at_least(own.current, limit.soft()),
        maximum: at_least(own.maximum, limit.hard()),
    };
    if new == own {
        return Ok(());
    }
    rustix::process::setrlimit(Resource::Nofile, new).doing(|| {
        format!(
            "raising {} to {}:{} (process.rlimits)",
            limit.typ(),
            limit.soft(),
            limit.hard()
        )
    })
}
