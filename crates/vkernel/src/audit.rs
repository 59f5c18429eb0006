//! The record of every decision to execute and of denied host calls.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use megabinary::digest::Digest;
use serde::{Serialize, Serializer};

use crate::process::Program;
use crate::rights::HostCall;

/// One decision; written as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When; written as seconds since 1970, with milliseconds.
    #[serde(serialize_with = "seconds")]
    pub time: SystemTime,
    /// The container's name and id as the operator knows it.
    pub container: String,
    /// Virtual process that asked.
    pub pid: u32,
    /// Path inside the container's root, or the tool's name.
    pub path: String,
    /// `sha256:…` of what was found; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_text")]
    pub digest: Option<Digest>,
    /// Entry point in the megabinary, when one was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The decision and its reason.
    #[serde(flatten)]
    pub decision: Decision,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// The program was started.
    Allowed,
    /// The manifest knows neither the digest nor the path.
    Unknown,
    /// The manifest knows the path with another digest.
    Modified {
        /// `sha256:…` the manifest names for this path.
        #[serde(serialize_with = "text")]
        expected: Digest,
    },
    /// The manifest knows it, but does not let the program that asked execute it.
    NotListed,
    /// The program called what its rights do not permit; recorded once per function.
    DeniedCall {
        /// The host function, and the operation where rights depend on arguments.
        call: String,
    },
}

/// Takes records. Called from the threads of processes: must not block for long.
pub trait AuditSink: Send + Sync {
    /// Keeps one record. A sink that cannot must not stop the container: it logs and goes on.
    fn record(&self, record: &Record);
}

/// Keeps nothing.
pub struct Discard;

impl AuditSink for Discard {
    fn record(&self, _record: &Record) {}
}

/// Writes JSON lines to a file or descriptor.
pub struct JsonLines<W>(Mutex<W>);

impl<W: Write + Send> JsonLines<W> {
    /// Records go to `out`, each in a single write so that concurrent containers' lines stay whole.
    pub fn new(out: W) -> Self {
        JsonLines(Mutex::new(out))
    }
}

impl<W: Write + Send> AuditSink for JsonLines<W> {
    fn record(&self, record: &Record) {
        let mut line = match serde_json::to_vec(record) {
            Ok(line) => line,
            Err(error) => return log::error!("cannot encode an audit record: {error}"),
        };
        line.push(b'\n');
        let mut out = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Err(error) = out.write_all(&line).and_then(|()| out.flush()) {
            log::error!("cannot write an audit record: {error}; check the audit target");
        }
    }
}

/// A sink together with the container the records are about.
pub struct Audit {
    container: String,
    sink: Arc<dyn AuditSink>,
    permissions: bool,
}

impl Audit {
    /// Records about `container` go to `sink`.
    #[must_use]
    pub fn new(container: String, sink: Box<dyn AuditSink>) -> Self {
        Audit {
            container,
            sink: sink.into(),
            permissions: true,
        }
    }

    /// The same audit for a decision that is taken again before anything runs: it keeps what is
    /// denied, since nothing follows that, and leaves what is allowed to the second time.
    #[must_use]
    pub fn of_a_rehearsal(&self) -> Self {
        Audit {
            container: self.container.clone(),
            sink: self.sink.clone(),
            permissions: false,
        }
    }

    /// Records a decision about executing a file or tool.
    pub fn exec(
        &self,
        pid: u32,
        path: &str,
        digest: Option<Digest>,
        entry: Option<&str>,
        decision: Decision,
    ) {
        if decision == Decision::Allowed && !self.permissions {
            return;
        }
        self.sink.record(&Record {
            time: SystemTime::now(),
            container: self.container.clone(),
            pid,
            path: path.to_owned(),
            digest,
            entry: entry.map(str::to_owned),
            decision,
        });
    }

    /// Records the first denial of `call` in a process.
    pub fn denied_call(&self, pid: u32, program: &Program, call: HostCall) {
        self.exec(
            pid,
            &program.path,
            Some(program.digest),
            Some(&program.entry),
            Decision::DeniedCall {
                call: call.to_string(),
            },
        );
    }
}

fn seconds<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    to.collect_str(&format_args!(
        "{}.{:03}",
        since.as_secs(),
        since.subsec_millis()
    ))
}

fn text<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(digest)
}

fn maybe_text<S: Serializer>(digest: &Option<Digest>, to: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => text(digest, to),
        None => to.serialize_none(),
    }
}
