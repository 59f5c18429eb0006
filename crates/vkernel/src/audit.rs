//! The record of every decision to execute and of denied host calls.

use std::borrow::Cow;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use megabinary::digest::Digest;
use serde::{Serialize, Serializer};

use crate::process::Program;
use crate::rights::HostCall;

/// One decision; written as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record<'r> {
    /// When; written as seconds since 1970, with milliseconds.
    #[serde(serialize_with = "seconds")]
    pub time: SystemTime,
    /// The container's name and id as the operator knows it.
    pub container: Cow<'r, str>,
    /// Virtual process that asked.
    pub pid: u32,
    /// Path inside the container's root, or the tool's name.
    pub path: Cow<'r, str>,
    /// `sha256:…` of what was found; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_text")]
    pub digest: Option<Digest>,
    /// Entry point in the megabinary, when one was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<Cow<'r, str>>,
    /// The decision and its reason.
    #[serde(flatten)]
    pub decision: Decision,
}

impl Record<'_> {
    /// The same record, for who keeps it.
    #[must_use]
    pub fn into_owned(self) -> Record<'static> {
        Record {
            time: self.time,
            container: self.container.into_owned().into(),
            pid: self.pid,
            path: self.path.into_owned().into(),
            digest: self.digest,
            entry: self.entry.map(|entry| entry.into_owned().into()),
            decision: self.decision,
        }
    }
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
    /// So many denials were not recorded, because they came too fast; of no process and no path.
    Suppressed {
        /// How many since the last record of this kind.
        count: u64,
    },
}

/// Denials that are recorded however fast they come.
const BURST: u32 = 100;

/// After how long one more is.
const EARNS_ONE: Duration = Duration::from_millis(100);

/// How many denials may still be recorded: a guest makes them at will, and the file is the host's.
struct Allowance {
    left: u32,
    counted_at: Instant,
    suppressed: u64,
}

impl Allowance {
    fn new(now: Instant) -> Allowance {
        Allowance {
            left: BURST,
            counted_at: now,
            suppressed: 0,
        }
    }

    /// Takes the room of one record, and gives how many had none since the last; or counts it
    /// among those.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.counted_at);
        match u32::try_from(passed.as_millis() / EARNS_ONE.as_millis()) {
            Ok(earned) if earned < BURST => {
                self.left = BURST.min(self.left + earned);
                self.counted_at += EARNS_ONE * earned;
            }
            _ => (self.left, self.counted_at) = (BURST, now),
        }
        if self.left == 0 {
            self.suppressed += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// Takes records. Called from the threads of processes: must not block for long.
pub trait AuditSink: Send + Sync {
    /// Keeps one record. A sink that cannot must not stop the container: it logs and goes on.
    fn record(&self, record: &Record<'_>);
}

/// Keeps nothing.
pub struct Discard;

impl AuditSink for Discard {
    fn record(&self, _record: &Record<'_>) {}
}

/// Writes JSON lines to a file or descriptor.
pub struct JsonLines<W>(Mutex<Lines<W>>);

struct Lines<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write + Send> JsonLines<W> {
    /// Records go to `out`, each in a single write so that concurrent containers' lines stay whole.
    pub fn new(out: W) -> Self {
        let line = Vec::new();
        JsonLines(Mutex::new(Lines { out, line }))
    }
}

impl<W: Write + Send> AuditSink for JsonLines<W> {
    fn record(&self, record: &Record<'_>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Lines { out, line } = &mut *lines;
        line.clear();
        if let Err(error) = serde_json::to_writer(&mut *line, record) {
            return log::error!("cannot encode an audit record: {error}");
        }
        line.push(b'\n');
        if let Err(error) = out.write_all(line).and_then(|()| out.flush()) {
            log::error!("cannot write an audit record: {error}; check the audit target");
        }
    }
}

/// A sink together with the container the records are about.
pub struct Audit {
    container: String,
    sink: Arc<dyn AuditSink>,
    allowance: Arc<Mutex<Allowance>>,
    permissions: bool,
}

impl Audit {
    /// Records about `container` go to `sink`.
    #[must_use]
    pub fn new(container: String, sink: Box<dyn AuditSink>) -> Self {
        Audit {
            container,
            sink: sink.into(),
            allowance: Arc::new(Mutex::new(Allowance::new(Instant::now()))),
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
            allowance: self.allowance.clone(),
            permissions: false,
        }
    }

    /// Records a decision about executing a file or tool. Denials have a limit: a hundred at
    /// once, then ten a second; those beyond are counted.
    pub fn exec(
        &self,
        pid: u32,
        path: &str,
        digest: Option<Digest>,
        entry: Option<&str>,
        decision: Decision,
    ) {
        if decision == Decision::Allowed {
            if !self.permissions {
                return;
            }
        } else {
            let Some(suppressed) = self.allowance().take(Instant::now()) else {
                return;
            };
            self.suppressed(suppressed);
        }
        self.record(pid, path, digest, entry, decision);
    }

    /// Records how many denials were not recorded and not yet counted by a record: for the end of
    /// the container.
    pub fn settle(&self) {
        let suppressed = std::mem::take(&mut self.allowance().suppressed);
        self.suppressed(suppressed);
    }

    fn allowance(&self) -> MutexGuard<'_, Allowance> {
        // Nothing panics with the lock held.
        self.allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn suppressed(&self, count: u64) {
        if count > 0 {
            self.record(0, "", None, None, Decision::Suppressed { count });
        }
    }

    fn record(
        &self,
        pid: u32,
        path: &str,
        digest: Option<Digest>,
        entry: Option<&str>,
        decision: Decision,
    ) {
        self.sink.record(&Record {
            time: SystemTime::now(),
            container: Cow::Borrowed(&self.container),
            pid,
            path: path.into(),
            digest,
            entry: entry.map(Cow::Borrowed),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_are_recorded_in_bursts_and_then_at_a_rate() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        for _ in 0..BURST {
            assert_eq!(allowance.take(start), Some(0));
        }
        for _ in 0..1000 {
            assert_eq!(allowance.take(start + EARNS_ONE / 2), None);
        }
        assert_eq!(allowance.take(start + EARNS_ONE), Some(1000));
        assert_eq!(allowance.take(start + EARNS_ONE * 3 / 2), None);
        assert_eq!(allowance.take(start + EARNS_ONE * 2), Some(1));
        // Rest is no more than a burst, however long it was.
        let later = start + Duration::from_secs(1 << 30);
        let recorded = (0..1000).filter(|_| allowance.take(later).is_some());
        assert_eq!(recorded.count(), BURST as usize);
    }
}
