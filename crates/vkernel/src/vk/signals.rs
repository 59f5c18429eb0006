//! What a process wants done with signals, its mask, and its timer.

use std::time::Duration;

use super::{MODULE, system};
use crate::errno::Errno;
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::{Fail, HostResult};
use crate::signal::{CatchFlags, Disposition, MAX, SigSet, Verdict};
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(MODULE, linker, VkSigaction, sigaction(signal: i32, wanted: u32, before: u32));
    host_fn!(MODULE, linker, VkSigprocmask, sigprocmask(how: u32, set: u64, before: u32));
    host_fn!(MODULE, linker, VkSigpending, sigpending(set: u32));
    host_fn!(MODULE, linker, VkSigsuspend, sigsuspend(mask: u64));
    host_fn!(MODULE, linker, VkSetitimer, setitimer(first: u64, interval: u64, before: u32));
    Ok(())
}

const DEFAULT: u32 = 0;
const IGNORE: u32 = 1;
const CATCH: u32 = 2;

const RESTART: u32 = 1;
const NODEFER: u32 = 2;
const RESET: u32 = 4;

fn sigaction(cx: &mut HostCx<'_>, signal: i32, wanted: u32, before: u32) -> HostResult {
    if !(1..=MAX).contains(&signal) {
        return Err(Errno::INVAL.into());
    }
    let wanted = match wanted {
        0 => None,
        at => Some(decode(cx.mem.array(at)?)?),
    };
    if before != 0 {
        cx.mem.slice(before, 16)?;
    }
    if matches!(wanted, Some(Disposition::Catch(..))) && cx.proc.deliver.is_none() {
        return Err(Errno::NOSYS.into());
    }
    let was = cx.proc.kill.signals(|own| match wanted {
        Some(wanted) => own.set_disposition(signal, wanted),
        None => Ok(own.disposition(signal)),
    })?;
    if before != 0 {
        cx.mem.write(before, &encode(was))?;
    }
    Ok(())
}

fn decode(bytes: [u8; 16]) -> Result<Disposition, Errno> {
    let [kind, flags] = [0, 4]
        .map(|at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
    let [_, _, _, _, _, _, _, _, mask @ ..] = bytes;
    match kind {
        DEFAULT => Ok(Disposition::Default),
        IGNORE => Ok(Disposition::Ignore),
        CATCH if flags & !(RESTART | NODEFER | RESET) == 0 => Ok(Disposition::Catch(
            SigSet::from_bits(u64::from_le_bytes(mask)),
            CatchFlags {
                restart: flags & RESTART != 0,
                nodefer: flags & NODEFER != 0,
                reset: flags & RESET != 0,
            },
        )),
        _ => Err(Errno::INVAL),
    }
}

fn encode(disposition: Disposition) -> [u8; 16] {
    let (kind, flags, mask) = match disposition {
        Disposition::Default => (DEFAULT, 0, 0),
        Disposition::Ignore => (IGNORE, 0, 0),
        Disposition::Catch(mask, flags) => {
            let bit = |set, bit| if set { bit } else { 0 };
            let flags =
                bit(flags.restart, RESTART) | bit(flags.nodefer, NODEFER) | bit(flags.reset, RESET);
            (CATCH, flags, mask.bits())
        }
    };
    let mut out = [0; 16];
    out[..4].copy_from_slice(&kind.to_le_bytes());
    out[4..8].copy_from_slice(&flags.to_le_bytes());
    out[8..].copy_from_slice(&mask.to_le_bytes());
    out
}

const BLOCK: u32 = 0;
const UNBLOCK: u32 = 1;
const SET: u32 = 2;
const ASK: u32 = 3;

fn sigprocmask(cx: &mut HostCx<'_>, how: u32, set: u64, before: u32) -> HostResult {
    if how > ASK {
        return Err(Errno::INVAL.into());
    }
    let set = SigSet::from_bits(set);
    let now = cx.proc.kill.signals(|own| own.mask());
    if before != 0 {
        cx.mem.write_u64(before, now.bits())?;
    }
    let wanted = match how {
        BLOCK => now.with(set),
        UNBLOCK => now.without(set),
        SET => set,
        _ => return Ok(()),
    };
    let posted = cx.proc.kill.signals(|own| own.set_mask(wanted));
    cx.proc.unmasked(posted);
    Ok(())
}

fn sigpending(cx: &mut HostCx<'_>, set: u32) -> HostResult {
    let pending = cx.proc.kill.signals(|own| own.pending());
    Ok(cx.mem.write_u64(set, pending.bits())?)
}

fn sigsuspend(cx: &mut HostCx<'_>, mask: u64) -> HostResult {
    if let Some(system) = cx.proc.system.as_mut() {
        system.start_deferred();
    }
    let kill = &cx.proc.kill;
    let posted = kill.signals(|own| own.suspend(SigSet::from_bits(mask)));
    cx.proc.unmasked(posted);
    let kill = &cx.proc.kill;
    loop {
        let seen = kill.events();
        if kill.signals(|own| own.verdict()) == Verdict::Deliver {
            // The handlers run when this call returns, under the mask of the suspension.
            return Err(Errno::INTR.into());
        }
        match kill.wait_event(seen) {
            Ok(()) | Err(Fail::Interrupted) => {}
            Err(end) => return Err(end),
        }
    }
}

fn setitimer(cx: &mut HostCx<'_>, first: u64, interval: u64, before: u32) -> HostResult {
    if before != 0 {
        cx.mem.slice(before, 16)?;
    }
    let span = |micros: u64| (micros != 0).then(|| Duration::from_micros(micros));
    let system = system(cx.proc)?;
    let was = system.set_timer(cx.proc.pid, &cx.proc.kill, span(first), span(interval));
    if before != 0 {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (left, interval) = was.map_or((0, 0), |(left, interval)| {
            // A timer that is set has something left.
            (micros(left).max(1), interval.map_or(0, micros))
        });
        cx.mem.write_u64(before, left)?;
        cx.mem.write_u64(before + 8, interval)?;
    }
    Ok(())
}
