//! `kill`, `pause` and `resume`.

use rustix::io::Errno;
use rustix::process::Signal;

use super::LifecycleError;
use super::start::load;
use crate::container::{ContainerId, Status, Store};
use crate::failure::Failure;

/// Sends a signal to the container's process, or with `all` to every process in it; none only asks
/// whether there is one.
pub fn kill(
    store: &Store,
    id: &ContainerId,
    signal: Option<Signal>,
    all: bool,
) -> Result<(), LifecycleError> {
    let (record, status) = match load(&store.open(id)?)? {
        (Some(record), status) if status.can_signal() => (record, status),
        // Its first process has ended, and with it mostly all: what is left is in its cgroup.
        (Some(record), status @ Status::Stopped) if all => (record, status),
        (_, status) => return Err(not_running(id, status)),
    };
    let Some(signal) = signal else { return Ok(()) };
    if all && (status == Status::Stopped || record.cgroup.pids().is_some()) {
        return Ok(record.cgroup.signal_all(signal)?);
    }
    match record.process.signal(signal) {
        Ok(()) => {}
        // It ended between the look and the signal.
        Err(Errno::SRCH) => return Err(not_running(id, Status::Stopped)),
        Err(error) => {
            return Err(Failure::new(format!("signalling container `{id}`"), error).into());
        }
    }
    // A frozen process does not even die.
    if signal == Signal::KILL && status == Status::Paused {
        record.cgroup.freeze(false)?;
    }
    Ok(())
}

/// Freezes or thaws every process of the container.
pub fn freeze(store: &Store, id: &ContainerId, freeze: bool) -> Result<(), LifecycleError> {
    let (step, applies): (_, &[Status]) = match freeze {
        true => ("pause", &[Status::Running, Status::Created]),
        false => ("resume", &[Status::Paused]),
    };
    let dir = store.open(id)?;
    let _lock = dir.lock()?;
    let (record, status) = load(&dir)?;
    match record {
        Some(record) if applies.contains(&status) => Ok(record.cgroup.freeze(freeze)?),
        _ => Err(LifecycleError::State {
            step,
            id: id.clone(),
            status,
            hint: "",
        }),
    }
}

fn not_running(id: &ContainerId, status: Status) -> LifecycleError {
    LifecycleError::NotRunning {
        id: id.clone(),
        status,
    }
}

/// What `kill` is to send: a signal, or with 0 none.
pub fn wanted(text: &str) -> Result<Option<Signal>, String> {
    match text {
        "0" => Ok(None),
        text => parse(text).map(Some),
    }
}

/// A signal by name, with or without `SIG`, in either case, or by number.
pub fn parse(text: &str) -> Result<Signal, String> {
    let unknown = || format!("`{text}` is not a signal; give a name such as TERM or a number");
    if let Ok(number) = text.parse::<i32>() {
        return named(number).ok_or_else(unknown);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let (min, max) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let offset = |rest: &str| {
        if rest.is_empty() {
            Some(0)
        } else {
            rest.parse::<i32>().ok()
        }
    };
    let real_time = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => offset(rest).map(|by| min + by),
        (_, Some(rest)) => offset(rest).map(|by| max + by),
        _ => None,
    };
    if let Some(number) = real_time {
        return (min..=max)
            .contains(&number)
            .then(|| named(number))
            .flatten()
            .ok_or_else(unknown);
    }
    NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .and_then(|(_, n)| named(*n))
        .ok_or_else(unknown)
}

fn named(number: i32) -> Option<Signal> {
    if (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number) {
        // SAFETY: in the range that the C library leaves to programs; used only to send it.
        return Some(unsafe { Signal::from_raw_unchecked(number) });
    }
    Signal::from_named_raw(number)
}

const NAMES: [(&str, i32); 33] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigterm", 15),
            ("term", 15),
            ("POLL", 29),
            ("RTMIN+3", libc::SIGRTMIN() + 3),
            ("SIGRTMAX-1", libc::SIGRTMAX() - 1),
            ("37", 37),
        ] {
            assert_eq!(parse(text).unwrap().as_raw(), number, "{text}");
        }
        assert_eq!(wanted("0").unwrap(), None);
        for text in [
            "", "0", "00", "-1", "65", "NOPE", "SIG", "KILLER", "RTMIN+99", "RTMIN-1", "9x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
