//! What create leaves on disk about a container that it made.

use std::collections::BTreeMap;
use std::path::PathBuf;

use oci_spec::runtime::{Hook, Spec};
use serde::{Deserialize, Serialize};

use super::process::ProcessId;
use super::status::Status;
use crate::sandbox::cgroup::CgroupPaths;

/// `state.json`: written once by create, when the container's process is ready, and by `update`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Version of config.json, as the bundle says it.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// The waiting process, later process 1 of the container.
    pub process: ProcessId,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// Absolute path of the root file system on the host.
    pub rootfs: PathBuf,
    /// When create finished: RFC 3339, UTC.
    pub created: String,
    /// Annotations of config.json.
    pub annotations: BTreeMap<String, String>,
    /// Its cgroups.
    pub cgroup: CgroupPaths,
    /// Hooks to run when it has started.
    pub poststart: Vec<Hook>,
    /// Hooks to run when it has been deleted.
    pub poststop: Vec<Hook>,
    /// config.json as create read it: what `exec` takes over where it is not told otherwise.
    pub config: Box<Spec>,
    /// What it runs.
    pub payload: PayloadRecord,
}

/// What a container runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadRecord {
    /// Nothing: it is a pod's sandbox.
    Sandbox,
    /// Verified code.
    Megabinary(MegabinaryRecord),
    /// Native programs, as the node's configuration allowed at its creation.
    Native,
}

/// The verified code of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MegabinaryRecord {
    /// `sha256:` digest of container.wasm.
    pub container_id: String,
    /// The manifest's name for it, if it has one.
    pub name: Option<String>,
    /// Its version.
    pub version: String,
    /// Who signed it; none where the node accepts unsigned images.
    pub key_id: Option<String>,
}

/// The state as `megarun state` and hooks see it: the OCI state document with the fields that crun
/// adds to it.
#[derive(Debug, Clone, Serialize)]
pub struct StateDocument<'a> {
    #[serde(rename = "ociVersion")]
    oci_version: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    status: Status,
    bundle: &'a std::path::Path,
    rootfs: &'a std::path::Path,
    created: &'a str,
    owner: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

impl Record {
    /// The OCI state document for this container in `status`. A stopped container has no pid of
    /// its own any more and shows 0, as crun and runc do.
    pub fn document(&self, status: Status) -> StateDocument<'_> {
        StateDocument {
            oci_version: &self.oci_version,
            id: &self.id,
            pid: Some(if status == Status::Stopped {
                0
            } else {
                self.process.pid
            }),
            status,
            bundle: &self.bundle,
            rootfs: &self.rootfs,
            created: &self.created,
            owner: "",
            annotations: &self.annotations,
        }
    }
}

/// The time in RFC 3339, UTC, with microseconds.
pub fn rfc3339(time: std::time::SystemTime) -> String {
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days to a civil date, counting in eras of 400 years that start on the 1st of March.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn dates_around_leap_days_are_right() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (1_795_478_400, "2026-11-24T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
