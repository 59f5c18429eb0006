//! What the host's `ps` is told: one document for whoever connects to a socket of the host's,
//! which no path of the container leads to.
//!
//! The document goes as a sealed file through the socket, so that the kernel never waits for its
//! reader; and the reader, to whom the kernel is a stranger that may have been broken into, takes
//! nothing else.

use std::fs::File;
use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, accept_with, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use super::{Info, State};
use crate::fs::Vfs;
use crate::table::Processes;

/// Every process of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// In ascending order of their numbers.
    pub processes: Vec<Process>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its number in the virtual kernel.
    pub pid: u32,
    /// Its parent's; 0 for process 1.
    pub ppid: u32,
    /// Its process group.
    pub pgid: u32,
    /// Its session.
    pub sid: u32,
    /// What it does.
    pub state: State,
    /// Processor time in milliseconds, without its children's.
    pub cpu_ms: u64,
    /// Path of its program inside the container, or the tool's name.
    pub program: String,
    /// Its arguments, as far as they are shown; what is no UTF-8 is replaced.
    pub args: Vec<String>,
}

/// How many bytes of a process's arguments are told.
const MAX_ARGUMENTS: usize = 1024;

/// The longest report in bytes: far more than the processes of a kernel can fill.
const MAX_REPORT: u64 = 32 << 20;

/// What the file must be sealed against, so that nobody changes it while it is read.
fn seals() -> SealFlags {
    SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK
}

impl Report {
    /// Looks at every process.
    #[must_use]
    pub fn of(processes: &Processes, vfs: &Vfs) -> Report {
        let list = processes.list();
        Report {
            processes: list
                .into_iter()
                .map(|entry| Process::of(&Info::of(entry, vfs, false)))
                .collect(),
        }
    }

    /// Takes the report of the kernel at the other end of a connection, as long as the socket's
    /// own time limit allows; nothing if that has ended.
    pub fn receive(connection: impl AsFd) -> Result<Option<Report>> {
        let Some(file) = take_file(connection)? else {
            return Ok(None);
        };
        let wrong = |what: &str| Error::new(ErrorKind::InvalidData, what);
        // Only memory has seals: reading this never waits for anybody.
        let sealed = rustix::fs::fcntl_get_seals(&file).is_ok_and(|own| own.contains(seals()));
        if !sealed {
            return Err(wrong("it handed over something else than a report"));
        }
        let length = file.metadata()?.len();
        if length > MAX_REPORT {
            return Err(wrong("its report is too long"));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        let report = serde_json::from_slice(&bytes);
        report.map(Some).map_err(|error| wrong(&error.to_string()))
    }
}

impl Process {
    fn of(info: &Info) -> Process {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let arguments = info.arguments();
        let arguments = &arguments[..arguments.len().min(MAX_ARGUMENTS)];
        let arguments = arguments.strip_suffix(b"\0").unwrap_or(arguments);
        let about = info.about.as_ref();
        Process {
            pid: info.entry.pid,
            ppid: info.entry.parent,
            pgid: info.entry.group,
            sid: info.entry.session,
            state: info.state,
            cpu_ms: u64::try_from(info.used.as_millis()).unwrap_or(u64::MAX),
            program: about.map_or_else(String::new, |about| about.program.path.clone()),
            args: arguments.split(|byte| *byte == 0).map(text).collect(),
        }
    }
}

/// Answers everyone who waits at `socket`. Fails where somebody may still wait.
pub(crate) fn answer(socket: &OwnedFd, processes: &Processes, vfs: &Vfs) -> Result<()> {
    loop {
        match accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            // Who does not take it gets none.
            Ok(client) => drop(hand_over(&client, &document(processes, vfs)?)),
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn document(processes: &Processes, vfs: &Vfs) -> Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create(c"processes", flags)?);
    file.write_all(&serde_json::to_vec(&Report::of(processes, vfs))?)?;
    rustix::fs::fcntl_add_seals(&file, seals() | SealFlags::SEAL)?;
    Ok(file)
}

fn hand_over(client: &OwnedFd, file: &File) -> rustix::io::Result<usize> {
    let fds = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(client, &[IoSlice::new(b"p")], &mut control, flags)
}

fn take_file(connection: impl AsFd) -> Result<Option<File>> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let parts = &mut [IoSliceMut::new(&mut byte)];
        match recvmsg(&connection, parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    let mut files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    match files.next().and_then(|mut fds| fds.next()) {
        Some(fd) => Ok(Some(fd.into())),
        None if received.bytes == 0 => Ok(None),
        None => Err(Error::new(ErrorKind::InvalidData, "it handed nothing over")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill::KillToken;

    fn pair() -> (OwnedFd, OwnedFd) {
        let pair = std::os::unix::net::UnixStream::pair().unwrap();
        (pair.0.into(), pair.1.into())
    }

    fn memory(text: &[u8], with: SealFlags) -> File {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(rustix::fs::memfd_create(c"test", flags).unwrap());
        file.write_all(text).unwrap();
        rustix::fs::fcntl_add_seals(&file, with).unwrap();
        file
    }

    #[test]
    fn a_report_arrives_as_it_was_made() {
        let (kernel, asker) = pair();
        let token = KillToken::default();
        let processes = Processes::new(8, token.clone());
        let vfs = Vfs::new(crate::fs::Root::Process).unwrap();
        hand_over(&kernel, &document(&processes, &vfs).unwrap()).unwrap();
        let report = Report::receive(&asker).unwrap().unwrap();
        assert_eq!(report.processes.len(), 1);
        assert_eq!((report.processes[0].pid, report.processes[0].ppid), (1, 0));
        drop(kernel);
        assert_eq!(Report::receive(&asker).unwrap(), None);
    }

    #[test]
    fn nothing_else_than_a_sealed_report_is_taken() {
        let refused = |file: Option<&File>| {
            let (kernel, asker) = pair();
            match file {
                Some(file) => hand_over(&kernel, file).unwrap(),
                None => rustix::io::write(&kernel, b"p").unwrap(),
            };
            Report::receive(&asker).unwrap_err().kind()
        };
        let good = br#"{"processes":[]}"#;
        let invalid = ErrorKind::InvalidData;
        assert_eq!(refused(None), invalid);
        // What is not sealed could change, and a pipe would never be read to its end.
        assert_eq!(refused(Some(&memory(good, SealFlags::GROW))), invalid);
        let (pipe, _end) = rustix::pipe::pipe().unwrap();
        assert_eq!(refused(Some(&pipe.into())), invalid);
        assert_eq!(refused(Some(&memory(b"{\"processes\":", seals()))), invalid);
        let long = memory(good, SealFlags::empty());
        long.set_len(MAX_REPORT + 1).unwrap();
        rustix::fs::fcntl_add_seals(&long, seals()).unwrap();
        assert_eq!(refused(Some(&long)), invalid);
        assert_eq!(
            refused(Some(&memory(&b"[".repeat(1 << 20), seals()))),
            invalid
        );
        let (kernel, asker) = pair();
        hand_over(&kernel, &memory(good, seals())).unwrap();
        assert!(Report::receive(&asker).unwrap().is_some());
    }
}
