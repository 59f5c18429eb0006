//! Staying with a process until it ends: passing signals on, relaying its terminal, and taking its
//! exit code. For `run` and `exec` without `--detach`.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::process::{Pid, WaitOptions};
use rustix::termios::{OptionalActions, Termios};

use super::LifecycleError;
use super::notify::Readiness;
use super::signal;
use crate::container::ProcessId;
use crate::failure::{Doing, Failure};
use crate::sys::signals;

/// The master side of a terminal, and this program's own terminal made raw for it.
pub struct Relay {
    master: OwnedFd,
    before: Option<Termios>,
}

impl Relay {
    /// Takes the terminal that the process sent through `socket`.
    pub fn receive(socket: &OwnedFd) -> Result<Self, LifecycleError> {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut name = [0; 64];
        let doing = || "receiving the terminal";
        rustix::net::recvmsg(
            socket,
            &mut [std::io::IoSliceMut::new(&mut name)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
        .doing(doing)?;
        let master = control
            .drain()
            .find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                _ => None,
            })
            .ok_or(Errno::BADMSG)
            .doing(doing)?;
        let before = rustix::termios::tcgetattr(std::io::stdin()).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &raw)
                .doing(|| "making the terminal raw")?;
        }
        let relay = Self { master, before };
        relay.resize();
        Ok(relay)
    }

    /// Gives the inner terminal the outer one's size.
    fn resize(&self) {
        if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdin()) {
            // Where it fails, the process sees another size: no reason to end it.
            let _ = rustix::termios::tcsetwinsize(&self.master, size);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Waits for a child process to end, and passes on that it is ready. Its exit code, or 128 and the signal that ended it.
pub fn wait(
    process: ProcessId,
    pidfd: &OwnedFd,
    relay: Option<&Relay>,
    mut readiness: Option<Readiness>,
) -> Result<u8, LifecycleError> {
    let mut forwarded = signals::ENDING.to_vec();
    forwarded.extend([libc::SIGWINCH, libc::SIGCONT]);
    let signals = signals::receive(&forwarded).doing(|| "receiving signals")?;
    let mut from_stdin = relay.is_some();
    loop {
        let mut ready = vec![
            PollFd::new(pidfd, PollFlags::IN),
            PollFd::new(&signals, PollFlags::IN),
        ];
        let stdin = std::io::stdin();
        if let Some(relay) = relay {
            ready.push(PollFd::new(&relay.master, PollFlags::IN));
            if from_stdin {
                ready.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
            }
        }
        // Last, since the others have their places.
        if let Some(readiness) = &readiness {
            ready.push(PollFd::new(readiness, PollFlags::IN));
        }
        match rustix::event::poll(&mut ready, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::new("waiting for the process", error).into()),
        }
        let is_ready: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(ready);
        readiness.take_if(|readiness| readiness.pass_on());
        while let Some(number) = signals::next(&signals) {
            match (number, relay) {
                (libc::SIGWINCH, Some(relay)) => relay.resize(),
                (number, _) => forward(process, number),
            }
        }
        if let Some(relay) = relay {
            let more = is_ready[2] && copy(&relay.master, std::io::stdout());
            // The terminal's last output is read before the end counts.
            if is_ready[0] && !more {
                return reap(process);
            }
            if from_stdin && is_ready[3] {
                from_stdin = copy(std::io::stdin().as_fd(), relay.master.as_fd());
            }
        }
        if is_ready[0] && relay.is_none() {
            return reap(process);
        }
    }
}

fn forward(process: ProcessId, number: i32) {
    if let Ok(signal) = signal::parse(&number.to_string()) {
        // It may have ended meanwhile.
        let _ = process.signal(signal);
    }
}

fn reap(process: ProcessId) -> Result<u8, LifecycleError> {
    let pid = Pid::from_raw(process.pid);
    let doing = || "taking the exit code";
    loop {
        match rustix::process::waitpid(pid, WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                let code = status
                    .exit_status()
                    .or(status.terminating_signal().map(|n| 128 + n));
                return Ok(code.unwrap_or(1) as u8);
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::new(doing(), error).into()),
        }
    }
}

/// Copies what is there. False at the end.
fn copy(from: impl AsFd, to: impl AsFd) -> bool {
    let mut buffer = [0; 8192];
    let mut data = match rustix::io::read(from, &mut buffer) {
        Ok(0) => return false,
        Ok(length) => &buffer[..length],
        Err(Errno::INTR | Errno::AGAIN) => return true,
        // A terminal whose other side has closed.
        Err(_) => return false,
    };
    while !data.is_empty() {
        match rustix::io::write(&to, data) {
            Ok(written) => data = &data[written..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return false,
        }
    }
    true
}
