//! `megarun update`.

use std::io::Read;
use std::path::Path;

use oci_spec::runtime::LinuxResources;

use serde_json::json;

use super::{CommandError, id, refuse};
use crate::bundle::config::MAX_BYTES;
use crate::cli::{Limits, UpdateArgs};
use crate::container::Store;
use crate::failure::Doing;
use crate::lifecycle::LifecycleError;
use crate::lifecycle::start::load;

/// Applies new limits to a container.
pub fn run(args: &UpdateArgs, store: &Store) -> Result<(), CommandError> {
    let id = id(&args.id)?;
    let resources = match &args.resources {
        Some(path) => read(path)?,
        None => from_options(&args.limits)?,
    };
    let dir = store.open(&id)?;
    let _lock = dir.lock()?;
    let record = match load(&dir)? {
        (Some(record), status) if status.can_signal() => record,
        (_, status) => return Err(LifecycleError::NotRunning { id, status }.into()),
    };
    if let Some(unit) = &record.cgroup.unit {
        unit.update(&resources, record.cgroup.version())?;
    }
    // Engines send the whole document again; rules for devices cannot be changed under a process.
    Ok(record.cgroup.apply(&resources, false)?)
}

/// The part of config.json that the options say.
fn from_options(limits: &Limits) -> Result<LinuxResources, CommandError> {
    for (given, name) in [
        (limits.kernel_memory.is_some(), "update --kernel-memory"),
        (
            limits.kernel_memory_tcp.is_some(),
            "update --kernel-memory-tcp",
        ),
        (limits.l3_cache_schema.is_some(), "update --l3-cache-schema"),
        (limits.mem_bw_schema.is_some(), "update --mem-bw-schema"),
    ] {
        refuse(
            given,
            name,
            "kernels of today have no such limit, or not for containers",
        )?;
    }
    let document = json!({
        "memory": {
            "limit": limits.memory,
            "reservation": limits.memory_reservation,
            "swap": limits.memory_swap,
        },
        "cpu": {
            "shares": limits.cpu_share,
            "quota": limits.cpu_quota,
            "period": limits.cpu_period,
            "realtimeRuntime": limits.cpu_rt_runtime,
            "realtimePeriod": limits.cpu_rt_period,
            "cpus": limits.cpuset_cpus,
            "mems": limits.cpuset_mems,
        },
        "pids": limits.pids_limit.map(|limit| json!({ "limit": limit })),
        "blockIO": limits.blkio_weight.map(|weight| json!({ "weight": weight })),
    });
    Ok(serde_json::from_value(document).expect("each field has its type in config.json"))
}

fn read(path: &Path) -> Result<LinuxResources, CommandError> {
    let doing = || format!("reading --resources `{}`", path.display());
    let mut text = String::new();
    match path.to_str() {
        Some("-") => std::io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_string(&mut text)
            .doing(doing)?,
        _ => std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
            .doing(doing)?,
    };
    serde_json::from_str(&text)
        .map_err(|error| CommandError::Refused(format!("{}: {error}", doing())))
}
