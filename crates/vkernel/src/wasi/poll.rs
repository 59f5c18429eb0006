//! `poll_oneoff`: its lists in the guest's memory.

use crate::errno::Errno;
use crate::fs::poll::{Event, MAX_SUBSCRIPTIONS, Subscription, What, wait};
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::{Fail, HostResult};
use crate::rights::HostCall;
use crate::wasi::HostCx;

/// Bytes of a `subscription`.
const SUBSCRIPTION: u32 = 48;
/// Bytes of an `event`.
const EVENT: u32 = 32;
/// `eventrwflags`: the other end is gone.
const HANGUP: u16 = 1;
/// `subclockflags`: the timeout is a time of the clock.
const ABSOLUTE: u16 = 1;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(linker, judging, poll_oneoff(list: u32, events: u32, count: u32, happened: u32));
    Ok(())
}

fn poll_oneoff(
    cx: &mut HostCx<'_>,
    list: u32,
    events: u32,
    count: u32,
    happened: u32,
) -> HostResult {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Err(Errno::INVAL.into());
    }
    // At most `MAX_SUBSCRIPTIONS * 48`: no overflow.
    let bytes = cx.mem.slice(list, count * SUBSCRIPTION)?;
    let subscriptions = bytes
        .chunks_exact(SUBSCRIPTION as usize)
        .map(|bytes| decode(bytes).map(Subscription::from_now))
        .collect::<Result<Vec<_>, _>>()?;
    for one in &subscriptions {
        cx.proc.require(match one.what {
            What::Clock { .. } => HostCall::PollClock,
            What::Read(_) | What::Write(_) => HostCall::PollFd,
        })?;
    }
    // Everything is known to fit before anything is waited for.
    cx.mem.slice(events, count * EVENT)?;
    cx.mem.slice(happened, 4)?;
    let (fds, kill) = (&cx.proc.fds, &cx.proc.kill);
    let event = kill.event()?;
    let found = match kill.interruptible(|| wait(fds, event, &subscriptions)) {
        // It never starts again: a span would begin anew.
        Err(Fail::Interrupted) => return Err(Errno::INTR.into()),
        found => found?,
    };
    let mut at = events;
    for event in &found {
        cx.mem.write(at, &encode(event))?;
        at += EVENT;
    }
    // Not more than were asked for.
    Ok(cx.mem.write_u32(happened, found.len() as u32)?)
}

fn word<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Errno> {
    bytes
        .get(at..at + N)
        .and_then(|field| field.try_into().ok())
        .ok_or(Errno::FAULT)
}

fn decode(bytes: &[u8]) -> Result<Subscription, Errno> {
    let number = |at| word(bytes, at).map(u32::from_le_bytes);
    let what = match word::<1>(bytes, 8)? {
        [0] => {
            let flags = u16::from_le_bytes(word(bytes, 40)?);
            if flags & !ABSOLUTE != 0 {
                return Err(Errno::INVAL);
            }
            What::Clock {
                id: number(16)?,
                timeout: u64::from_le_bytes(word(bytes, 24)?),
                absolute: flags & ABSOLUTE != 0,
            }
        }
        [1] => What::Read(number(16)?),
        [2] => What::Write(number(16)?),
        _ => return Err(Errno::INVAL),
    };
    Ok(Subscription {
        userdata: u64::from_le_bytes(word(bytes, 0)?),
        what,
    })
}

fn encode(event: &Event) -> [u8; EVENT as usize] {
    let mut out = [0u8; EVENT as usize];
    out[..8].copy_from_slice(&event.userdata.to_le_bytes());
    out[8..10].copy_from_slice(&event.error.map_or(0, Errno::raw).to_le_bytes());
    out[10] = event.kind;
    out[16..24].copy_from_slice(&event.bytes.to_le_bytes());
    let flags = if event.hangup { HANGUP } else { 0 };
    out[24..26].copy_from_slice(&flags.to_le_bytes());
    out
}
