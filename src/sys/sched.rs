//! On which processor the runtime itself runs.

use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Leaves the processor to a child that waits for it, which then begins at once.
///
/// Kernels place a clone on its creator's processor while others idle, and take it elsewhere only
/// when the next tick balances: 2 ms in which the two could have worked side by side. A child on
/// another processor is left alone, and where there is no other to go to nothing happens. The
/// caller may run everywhere again afterwards; its children that are there already inherit nothing.
pub fn step_aside(child: usize) {
    if sched_getcpu() != child {
        return;
    }
    // Best effort, as each part is a matter of time alone.
    let Ok(everywhere) = sched_getaffinity(None) else {
        return;
    };
    let mut elsewhere = everywhere;
    elsewhere.unset(child);
    if elsewhere.count() > 0 && sched_setaffinity(None, &elsewhere).is_ok() {
        let _: Result<(), _> = sched_setaffinity(None, &everywhere);
    }
}
