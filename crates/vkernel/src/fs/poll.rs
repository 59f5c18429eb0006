//! Waiting for clocks and descriptors together (`poll_oneoff`).

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};

use super::Result;
use crate::descriptor::{FdTable, HostFile, OpenFile};
use crate::errno::Errno;
use crate::fs::kind::FileKind;
use crate::fs::rights::FdRights;

/// The most subscriptions of one call; more is `EINVAL`, as beyond `RLIMIT_NOFILE` on Linux.
pub const MAX_SUBSCRIPTIONS: u32 = 4096;

const BILLION: u64 = 1_000_000_000;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A time: nanoseconds from now, or of the clock itself.
    Clock {
        /// Clock id of preview 1.
        id: u32,
        /// Nanoseconds.
        timeout: u64,
        /// `timeout` is a time of the clock, not a span.
        absolute: bool,
    },
    /// A guest's descriptor has something to read, or ended.
    Read(u32),
    /// A guest's descriptor takes bytes.
    Write(u32),
}

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Comes back with the event.
    pub userdata: u64,
    /// What is waited for.
    pub what: What,
}

impl Subscription {
    /// The same with a span turned into the time it ends: for a wait that may be interrupted.
    #[must_use]
    pub fn from_now(mut self) -> Subscription {
        if let What::Clock {
            id,
            timeout,
            absolute,
        } = &mut self.what
            && let Ok(clock) = clock(*id)
            && !*absolute
        {
            *timeout = timeout.saturating_add(now(clock));
            *absolute = true;
        }
        self
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Of the subscription.
    pub userdata: u64,
    /// Why it can not be waited for, or nothing.
    pub error: Option<Errno>,
    /// 0 clock, 1 read, 2 write.
    pub kind: u8,
    /// Bytes that can be moved, as far as known.
    pub bytes: u64,
    /// The other end is gone.
    pub hangup: bool,
}

/// The clock a timeout counts on; processor time passes only while code runs, so waiting for it
/// would be for ever.
fn clock(id: u32) -> Result<ClockId> {
    match id {
        0 => Ok(ClockId::Realtime),
        1 => Ok(ClockId::Monotonic),
        2 | 3 => Err(Errno::NOTSUP),
        _ => Err(Errno::INVAL),
    }
}

fn now(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(BILLION)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// A subscription, made ready to wait on.
enum Armed {
    /// Cannot be waited for.
    Failed(Errno),
    /// At this time of this clock.
    Clock(ClockId, u64),
    /// Never waits.
    Ready(u64),
    /// The host descriptor at this place of the poll list.
    Polled(usize),
}

/// Waits until something happens, and says what did: all of it, in the order of the list.
///
/// `EINTR` if a signal came, or when `kill` is readable.
pub fn wait(fds: &FdTable, kill: BorrowedFd<'_>, list: &[Subscription]) -> Result<Vec<Event>> {
    if list.is_empty() || list.len() > MAX_SUBSCRIPTIONS as usize {
        return Err(Errno::INVAL);
    }
    let mut polled = vec![PollFd::from_borrowed_fd(kill, PollFlags::IN)];
    let armed: Vec<Armed> = list
        .iter()
        .map(|one| arm(fds, one.what, &mut polled).unwrap_or_else(Armed::Failed))
        .collect();
    loop {
        let timeout = timeout(&armed).map(|nanoseconds| Timespec {
            tv_sec: (nanoseconds / BILLION).min(i64::MAX as u64) as _,
            tv_nsec: (nanoseconds % BILLION) as _,
        });
        poll(&mut polled, timeout.as_ref())?;
        if !polled[0].revents().is_empty() {
            return Err(Errno::INTR);
        }
        let events: Vec<Event> = list
            .iter()
            .zip(&armed)
            .filter_map(|(one, armed)| event(fds, *one, armed, &polled))
            .collect();
        // A realtime clock may have been set back meanwhile: then it is waited for again.
        if !events.is_empty() {
            return Ok(events);
        }
    }
}

fn arm<'f>(fds: &'f FdTable, what: What, polled: &mut Vec<PollFd<'f>>) -> Result<Armed> {
    let (fd, interest) = match what {
        What::Clock {
            id,
            timeout,
            absolute,
        } => {
            let id = clock(id)?;
            let start = if absolute { 0 } else { now(id) };
            return Ok(Armed::Clock(id, start.saturating_add(timeout)));
        }
        What::Read(fd) => (fd, PollFlags::IN),
        What::Write(fd) => (fd, PollFlags::OUT),
    };
    let descriptor = fds.get(fd)?;
    descriptor.require(FdRights::POLL)?;
    let OpenFile::Host(file) = descriptor.file() else {
        return Err(Errno::BADF);
    };
    let allowed = if interest == PollFlags::IN {
        file.readable()
    } else {
        file.writable()
    };
    if !allowed || file.kind() == FileKind::Directory {
        return Err(Errno::BADF);
    }
    if !file.may_wait() {
        return Ok(Armed::Ready(if interest == PollFlags::IN {
            left(file)
        } else {
            0
        }));
    }
    polled.push(PollFd::from_borrowed_fd(file.fd(), interest));
    Ok(Armed::Polled(polled.len() - 1))
}

/// How long to wait: not at all if something is ready, until the first clock otherwise.
fn timeout(armed: &[Armed]) -> Option<u64> {
    let mut shortest = None;
    for one in armed {
        let wait = match one {
            Armed::Failed(_) | Armed::Ready(_) => 0,
            Armed::Clock(id, at) => at.saturating_sub(now(*id)),
            Armed::Polled(_) => continue,
        };
        shortest = Some(shortest.map_or(wait, |least: u64| least.min(wait)));
    }
    shortest
}

fn event(fds: &FdTable, one: Subscription, armed: &Armed, polled: &[PollFd<'_>]) -> Option<Event> {
    let kind = match one.what {
        What::Clock { .. } => 0,
        What::Read(_) => 1,
        What::Write(_) => 2,
    };
    let mut event = Event {
        userdata: one.userdata,
        error: None,
        kind,
        bytes: 0,
        hangup: false,
    };
    match armed {
        Armed::Failed(error) => event.error = Some(*error),
        Armed::Ready(bytes) => event.bytes = *bytes,
        Armed::Clock(id, at) => {
            if now(*id) < *at {
                return None;
            }
        }
        Armed::Polled(place) => {
            let happened = polled[*place].revents();
            if happened.is_empty() {
                return None;
            }
            event.hangup = happened.intersects(PollFlags::HUP | PollFlags::ERR);
            if let What::Read(fd) = one.what {
                event.bytes = waiting(fds, fd);
            }
        }
    }
    Some(event)
}

/// Bytes from the offset to the end.
fn left(file: &HostFile) -> u64 {
    let size = rustix::fs::fstat(file.fd()).map_or(0, |stat| stat.st_size as u64);
    size.saturating_sub(rustix::fs::tell(file.fd()).unwrap_or(0))
}

/// Bytes that wait in a pipe, socket or terminal, where it says.
fn waiting(fds: &FdTable, fd: u32) -> u64 {
    match fds.get(fd).map(|descriptor| descriptor.file()) {
        Ok(OpenFile::Host(file)) => rustix::io::ioctl_fionread(file.fd()).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::time::{Duration, Instant};

    use super::{Event, MAX_SUBSCRIPTIONS, Subscription, What, now, wait};
    use crate::descriptor::{Descriptor, FdTable};
    use crate::errno::Errno;
    use crate::kill::KillToken;

    const SPAN: u64 = 20_000_000;

    fn clock(id: u32, timeout: u64, absolute: bool) -> Subscription {
        Subscription {
            userdata: 9,
            what: What::Clock {
                id,
                timeout,
                absolute,
            },
        }
    }

    fn quiet() -> (KillToken, FdTable) {
        (KillToken::default(), FdTable::default())
    }

    #[test]
    fn clocks_count_spans_and_times() {
        let (kill, fds) = quiet();
        for (id, host) in [
            (0, rustix::time::ClockId::Realtime),
            (1, rustix::time::ClockId::Monotonic),
        ] {
            for absolute in [false, true] {
                let timeout = if absolute { now(host) + SPAN } else { SPAN };
                let start = Instant::now();
                let events =
                    wait(&fds, kill.event().unwrap(), &[clock(id, timeout, absolute)]).unwrap();
                assert!(start.elapsed() >= Duration::from_nanos(SPAN - 1_000_000));
                let expected = Event {
                    userdata: 9,
                    error: None,
                    kind: 0,
                    bytes: 0,
                    hangup: false,
                };
                assert_eq!(events, [expected]);
            }
        }
        assert_eq!(
            wait(&fds, kill.event().unwrap(), &[clock(0, 1, true)])
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn what_cannot_be_waited_for_is_an_event_of_its_own() {
        let (kill, mut fds) = quiet();
        fds.insert_at(
            4,
            Descriptor::inherited(std::fs::File::open("/dev/null").unwrap().into()).unwrap(),
        )
        .unwrap();
        let list = [
            clock(2, 1, false),
            clock(17, 1, false),
            Subscription {
                userdata: 1,
                what: What::Read(77),
            },
            Subscription {
                userdata: 2,
                what: What::Write(4),
            },
            clock(1, u64::MAX, false),
        ];
        let errors: Vec<_> = wait(&fds, kill.event().unwrap(), &list)
            .unwrap()
            .iter()
            .map(|event| event.error)
            .collect();
        let expected = [Errno::NOTSUP, Errno::INVAL, Errno::BADF, Errno::BADF].map(Some);
        assert_eq!(errors, expected);
        assert_eq!(wait(&fds, kill.event().unwrap(), &[]), Err(Errno::INVAL));
        let many = vec![clock(1, 1, false); MAX_SUBSCRIPTIONS as usize + 1];
        assert_eq!(wait(&fds, kill.event().unwrap(), &many), Err(Errno::INVAL));
    }

    #[test]
    fn a_pipe_says_how_much_and_that_it_ended() {
        let (kill, mut fds) = quiet();
        let (reader, mut writer) = std::io::pipe().unwrap();
        fds.insert_at(0, Descriptor::inherited(OwnedFd::from(reader)).unwrap())
            .unwrap();
        let list = [
            Subscription {
                userdata: 5,
                what: What::Read(0),
            },
            clock(1, SPAN, false),
        ];
        let events = wait(&fds, kill.event().unwrap(), &list).unwrap();
        assert_eq!(
            events.iter().map(|event| event.kind).collect::<Vec<_>>(),
            [0]
        );
        writer.write_all(b"seven b").unwrap();
        let events = wait(&fds, kill.event().unwrap(), &list[..1]).unwrap();
        assert_eq!((events[0].bytes, events[0].hangup), (7, false));
        drop(writer);
        let events = wait(&fds, kill.event().unwrap(), &list[..1]).unwrap();
        assert_eq!((events[0].bytes, events[0].hangup), (7, true));
    }

    #[test]
    fn a_kill_ends_the_longest_wait() {
        let (kill, fds) = quiet();
        let killer = kill.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            killer.end(9);
        });
        let got = wait(&fds, kill.event().unwrap(), &[clock(1, u64::MAX, false)]);
        assert_eq!(got, Err(Errno::INTR));
        thread.join().unwrap();
    }
}
