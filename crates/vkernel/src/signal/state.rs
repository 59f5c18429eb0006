//! What a process decided about signals, and what has arrived.

use super::{Action, MAX, SigSet, default_action};
use crate::errno::Errno;

/// What a process wants done with a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    /// Its default action.
    #[default]
    Default,
    /// Nothing.
    Ignore,
    /// Its handler is called, with these signals blocked besides itself.
    Catch(SigSet, CatchFlags),
}

/// How a handler is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatchFlags {
    /// A call it interrupts starts again (`SA_RESTART`).
    pub restart: bool,
    /// The signal itself stays unblocked (`SA_NODEFER`).
    pub nodefer: bool,
    /// The disposition becomes the default before the handler runs (`SA_RESETHAND`).
    pub reset: bool,
}

/// What a signal that was sent changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// Nothing that the process has to notice now.
    Nothing,
    /// A handler has to run.
    Caught,
    /// The process has to end.
    Fatal,
    /// This signal stopped it.
    Stopped(i32),
    /// It goes on after a stop.
    Continued,
}

/// What a process has to do before it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    GoOn,
    /// Run handlers.
    Deliver,
    /// Wait until it is continued.
    Stop,
    /// End by this signal.
    End(i32),
}

/// A handler to call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The signal.
    pub signal: i32,
    /// Whether the interrupted call starts again.
    pub restart: bool,
    /// The mask to have again when the handler has returned.
    pub mask_after: SigSet,
}

/// Dispositions, mask and pending signals of a process.
#[derive(Clone, Debug)]
pub struct SignalState {
    actions: [Disposition; MAX as usize],
    mask: SigSet,
    pending: SigSet,
    /// Those among the pending that do nothing unless a handler takes them.
    harmless: SigSet,
    fatal: Option<i32>,
    stopped: bool,
    /// The mask to have again once the handlers that end a `sigsuspend` have run.
    suspended: Option<SigSet>,
}

/// Signals whose disposition is fixed and which cannot be blocked.
const FIXED: SigSet = SigSet::of(libc::SIGKILL).with(SigSet::of(libc::SIGSTOP));

const STOPS: SigSet = SigSet::of(libc::SIGSTOP)
    .with(SigSet::of(libc::SIGTSTP))
    .with(SigSet::of(libc::SIGTTIN))
    .with(SigSet::of(libc::SIGTTOU));

impl Default for SignalState {
    fn default() -> Self {
        SignalState {
            actions: [Disposition::Default; MAX as usize],
            mask: SigSet::EMPTY,
            pending: SigSet::EMPTY,
            harmless: SigSet::EMPTY,
            fatal: None,
            stopped: false,
            suspended: None,
        }
    }
}

impl SignalState {
    /// What a spawned process starts with: the mask, and what is ignored; nothing is pending.
    #[must_use]
    pub fn inherited(&self) -> SignalState {
        let mut child = SignalState {
            mask: self.mask,
            ..SignalState::default()
        };
        for (own, parents) in child.actions.iter_mut().zip(&self.actions) {
            if *parents == Disposition::Ignore {
                *own = Disposition::Ignore;
            }
        }
        child
    }

    /// What a forked process starts with: everything but what is pending.
    #[must_use]
    pub fn forked(&self) -> SignalState {
        SignalState {
            actions: self.actions,
            mask: self.mask,
            harmless: self.harmless,
            ..SignalState::default()
        }
    }

    /// What exec leaves: caught signals get their default, everything else stays.
    pub fn reset_for_exec(&mut self) {
        for action in &mut self.actions {
            if matches!(action, Disposition::Catch(..)) {
                *action = Disposition::Default;
            }
        }
        self.suspended = None;
        self.settle();
    }

    /// What is done with a signal.
    #[must_use]
    pub fn disposition(&self, signal: i32) -> Disposition {
        self.actions[signal as usize - 1]
    }

    /// Decides what is done with a signal; gives what was. `EINVAL` for those that are fixed.
    pub fn set_disposition(
        &mut self,
        signal: i32,
        wanted: Disposition,
    ) -> Result<Disposition, Errno> {
        if !(1..=MAX).contains(&signal) || FIXED.contains(signal) {
            return Err(Errno::INVAL);
        }
        let before = std::mem::replace(&mut self.actions[signal as usize - 1], wanted);
        self.settle();
        Ok(before)
    }

    /// Signals that are held back.
    #[must_use]
    pub fn mask(&self) -> SigSet {
        self.mask
    }

    /// Holds back exactly these; what became free takes effect.
    pub fn set_mask(&mut self, mask: SigSet) -> Posted {
        self.mask = mask.without(FIXED);
        self.settle()
    }

    /// Signals that have arrived and are held back or not yet delivered.
    #[must_use]
    pub fn pending(&self) -> SigSet {
        self.pending
    }

    /// Whether a handler is set for any signal but these.
    #[must_use]
    pub fn catches_other_than(&self, but: SigSet) -> bool {
        (1..=MAX).any(|signal| {
            !but.contains(signal) && matches!(self.disposition(signal), Disposition::Catch(..))
        })
    }

    /// A signal arrives. Number 0 and numbers beyond the last are not signals: the caller checks.
    pub fn post(&mut self, signal: i32) -> Posted {
        if self.fatal.is_some() {
            return Posted::Nothing;
        }
        if signal == libc::SIGKILL {
            self.fatal = Some(signal);
            self.stopped = false;
            return Posted::Fatal;
        }
        let set = SigSet::of(signal);
        let mut continued = false;
        if signal == libc::SIGCONT {
            self.pending = self.pending.without(STOPS);
            continued = std::mem::take(&mut self.stopped);
        } else if STOPS.contains(signal) {
            self.pending = self.pending.without(SigSet::of(libc::SIGCONT));
        }
        if self.disposition(signal) == Disposition::Ignore {
            return if continued {
                Posted::Continued
            } else {
                Posted::Nothing
            };
        }
        self.pending = self.pending.with(set);
        self.harmless = self.harmless.without(set);
        match self.settle() {
            Posted::Nothing | Posted::Caught if continued => Posted::Continued,
            posted => posted,
        }
    }

    /// A signal arrives that may run a handler and nothing else: it is gone where there is none
    /// now, and where there is none any more when it would act.
    pub fn post_if_caught(&mut self, signal: i32) -> Posted {
        if !matches!(self.disposition(signal), Disposition::Catch(..)) {
            return Posted::Nothing;
        }
        let set = SigSet::of(signal);
        let acts_already = self.pending.without(self.harmless).contains(signal);
        let posted = self.post(signal);
        if !acts_already {
            self.harmless = self.harmless.with(set);
        }
        posted
    }

    /// Ends the process by `signal` whatever it decided about it; the first end counts.
    pub fn end(&mut self, signal: i32) {
        self.fatal.get_or_insert(signal);
        self.stopped = false;
    }

    /// Takes out of the pending signals those that need no handler, and lets them act.
    fn settle(&mut self) -> Posted {
        let mut result = Posted::Nothing;
        for signal in self.pending.without(self.mask).iter() {
            let action = match self.disposition(signal) {
                Disposition::Catch(..) => {
                    if result == Posted::Nothing {
                        result = Posted::Caught;
                    }
                    continue;
                }
                Disposition::Ignore => Action::Ignore,
                Disposition::Default if self.harmless.contains(signal) => Action::Ignore,
                Disposition::Default => default_action(signal),
            };
            self.pending = self.pending.without(SigSet::of(signal));
            match action {
                Action::Ignore => {}
                Action::Stop if self.stopped => {}
                Action::Stop => {
                    self.stopped = true;
                    result = Posted::Stopped(signal);
                }
                Action::End => {
                    self.end(signal);
                    return Posted::Fatal;
                }
            }
        }
        result
    }

    /// What has to be done before the process goes on.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if let Some(signal) = self.fatal {
            Verdict::End(signal)
        } else if self.stopped {
            Verdict::Stop
        } else if self.pending.without(self.mask).is_empty() {
            Verdict::GoOn
        } else {
            Verdict::Deliver
        }
    }

    /// Waits with another mask until a handler has run (`sigsuspend`).
    pub fn suspend(&mut self, mask: SigSet) -> Posted {
        self.suspended.get_or_insert(self.mask);
        self.set_mask(mask)
    }

    /// The next handler to call, with its mask in force; none when all have run, and then the
    /// mask is again the one from before a `sigsuspend`.
    pub fn next_delivery(&mut self) -> Option<Delivery> {
        loop {
            if let Some(signal) = self.pending.without(self.mask).first() {
                let set = SigSet::of(signal);
                self.pending = self.pending.without(set);
                let Disposition::Catch(blocked, flags) = self.disposition(signal) else {
                    // `settle` leaves only caught signals pending and free.
                    continue;
                };
                let mask_after = self.suspended.take().unwrap_or(self.mask);
                self.mask = self.mask.with(blocked).without(FIXED);
                if !flags.nodefer {
                    self.mask = self.mask.with(set);
                }
                if flags.reset {
                    self.actions[signal as usize - 1] = Disposition::Default;
                }
                return Some(Delivery {
                    signal,
                    restart: flags.restart,
                    mask_after,
                });
            }
            let before = self.suspended.take()?;
            self.set_mask(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use libc::{SIGCHLD, SIGCONT, SIGINT, SIGKILL, SIGPIPE, SIGSTOP, SIGTERM, SIGTSTP, SIGUSR1};

    use super::*;

    fn catch() -> Disposition {
        Disposition::Catch(SigSet::EMPTY, CatchFlags::default())
    }

    fn caught(state: &mut SignalState) -> Option<i32> {
        let delivery = state.next_delivery()?;
        state.set_mask(delivery.mask_after);
        Some(delivery.signal)
    }

    #[test]
    fn without_decisions_signals_act_by_default() {
        for (signal, posted, verdict) in [
            (SIGTERM, Posted::Fatal, Verdict::End(SIGTERM)),
            (SIGKILL, Posted::Fatal, Verdict::End(SIGKILL)),
            (SIGCHLD, Posted::Nothing, Verdict::GoOn),
            (SIGTSTP, Posted::Stopped(SIGTSTP), Verdict::Stop),
            (SIGCONT, Posted::Nothing, Verdict::GoOn),
            (MAX, Posted::Fatal, Verdict::End(MAX)),
        ] {
            let mut state = SignalState::default();
            assert_eq!((state.post(signal), state.verdict()), (posted, verdict));
        }
    }

    #[test]
    fn what_is_ignored_is_gone_and_what_is_blocked_waits() {
        let mut state = SignalState::default();
        state.set_disposition(SIGINT, Disposition::Ignore).unwrap();
        assert_eq!(state.post(SIGINT), Posted::Nothing);
        assert!(state.pending().is_empty());
        state.set_mask(SigSet::of(SIGTERM));
        assert_eq!(state.post(SIGTERM), Posted::Nothing);
        assert_eq!(state.pending(), SigSet::of(SIGTERM));
        assert_eq!(state.verdict(), Verdict::GoOn);
        assert_eq!(state.set_mask(SigSet::EMPTY), Posted::Fatal);
        assert_eq!(state.verdict(), Verdict::End(SIGTERM));
    }

    #[test]
    fn kill_and_stop_can_be_neither_caught_nor_blocked() {
        let mut state = SignalState::default();
        for signal in [SIGKILL, SIGSTOP, 0, -1, 65] {
            assert_eq!(state.set_disposition(signal, catch()), Err(Errno::INVAL));
        }
        state.set_mask(SigSet::from_bits(u64::MAX));
        assert_eq!(state.post(SIGSTOP), Posted::Stopped(SIGSTOP));
        // A stopped process dies all the same.
        assert_eq!(state.post(SIGKILL), Posted::Fatal);
        assert_eq!(state.verdict(), Verdict::End(SIGKILL));
    }

    #[test]
    fn what_may_only_be_caught_does_nothing_else() {
        for signal in [SIGTERM, SIGKILL, SIGSTOP, SIGTSTP] {
            let mut state = SignalState::default();
            assert_eq!(state.post_if_caught(signal), Posted::Nothing);
            state.set_mask(SigSet::of(signal));
            assert_eq!(state.post_if_caught(signal), Posted::Nothing);
            assert_eq!(state.set_mask(SigSet::EMPTY), Posted::Nothing);
            assert_eq!(state.verdict(), Verdict::GoOn);
        }
        let mut state = SignalState::default();
        state.set_disposition(SIGTERM, catch()).unwrap();
        assert_eq!(state.post_if_caught(SIGTERM), Posted::Caught);
        assert_eq!(caught(&mut state), Some(SIGTERM));
        // The handler is gone before it ran, by an exec or by decision.
        state.post_if_caught(SIGTERM);
        state.reset_for_exec();
        assert_eq!(state.verdict(), Verdict::GoOn);
        // The same signal from somebody else acts, whichever came first.
        for both in [[true, false], [false, true]] {
            let mut state = SignalState::default();
            state.set_mask(SigSet::of(SIGTERM));
            state.set_disposition(SIGTERM, catch()).unwrap();
            for harmless in both {
                if harmless {
                    state.post_if_caught(SIGTERM);
                } else {
                    state.post(SIGTERM);
                }
            }
            state.reset_for_exec();
            assert_eq!(state.set_mask(SigSet::EMPTY), Posted::Fatal);
        }
    }

    #[test]
    fn handlers_run_lowest_first_and_block_themselves_meanwhile() {
        let mut state = SignalState::default();
        state.set_disposition(SIGTERM, catch()).unwrap();
        state
            .set_disposition(
                SIGINT,
                Disposition::Catch(SigSet::of(SIGTERM), CatchFlags::default()),
            )
            .unwrap();
        assert_eq!(state.post(SIGTERM), Posted::Caught);
        assert_eq!(state.post(SIGINT), Posted::Caught);
        let first = state.next_delivery().unwrap();
        assert_eq!(first.signal, SIGINT);
        assert_eq!(state.mask(), SigSet::of(SIGINT).with(SigSet::of(SIGTERM)));
        assert_eq!(state.post(SIGINT), Posted::Nothing);
        assert_eq!(state.next_delivery(), None);
        state.set_mask(first.mask_after);
        assert_eq!(caught(&mut state), Some(SIGINT));
        assert_eq!(caught(&mut state), Some(SIGTERM));
        assert_eq!(caught(&mut state), None);
    }

    #[test]
    fn a_handler_that_resets_runs_once() {
        let mut state = SignalState::default();
        let flags = CatchFlags {
            reset: true,
            ..CatchFlags::default()
        };
        state
            .set_disposition(SIGUSR1, Disposition::Catch(SigSet::EMPTY, flags))
            .unwrap();
        state.post(SIGUSR1);
        assert_eq!(caught(&mut state), Some(SIGUSR1));
        assert_eq!(state.post(SIGUSR1), Posted::Fatal);
    }

    #[test]
    fn a_suspension_delivers_under_its_mask_and_ends_with_the_old_one() {
        let mut state = SignalState::default();
        state.set_disposition(SIGCHLD, catch()).unwrap();
        state.set_mask(SigSet::of(SIGCHLD));
        assert_eq!(state.post(SIGCHLD), Posted::Nothing);
        assert_eq!(state.suspend(SigSet::EMPTY), Posted::Caught);
        assert_eq!(caught(&mut state), Some(SIGCHLD));
        assert_eq!(state.mask(), SigSet::of(SIGCHLD));
    }

    #[test]
    fn stop_and_continue_cancel_each_other() {
        let mut state = SignalState::default();
        state.set_mask(SigSet::of(SIGTSTP));
        state.post(SIGTSTP);
        assert_eq!(state.post(SIGCONT), Posted::Nothing);
        assert_eq!(state.set_mask(SigSet::EMPTY), Posted::Nothing);
        assert_eq!(state.post(SIGTSTP), Posted::Stopped(SIGTSTP));
        assert_eq!(state.post(SIGTSTP), Posted::Nothing);
        assert_eq!(state.post(SIGCONT), Posted::Continued);
        assert_eq!(state.verdict(), Verdict::GoOn);
    }

    #[test]
    fn children_and_exec_keep_what_is_ignored_and_lose_handlers() {
        let mut state = SignalState::default();
        state.set_disposition(SIGPIPE, Disposition::Ignore).unwrap();
        state.set_disposition(SIGINT, catch()).unwrap();
        state.set_mask(SigSet::of(SIGUSR1));
        state.post(SIGUSR1);
        let child = state.inherited();
        assert_eq!(child.disposition(SIGPIPE), Disposition::Ignore);
        assert_eq!(child.disposition(SIGINT), Disposition::Default);
        assert_eq!(child.mask(), SigSet::of(SIGUSR1));
        assert!(child.pending().is_empty());
        state.reset_for_exec();
        assert_eq!(state.disposition(SIGPIPE), Disposition::Ignore);
        assert_eq!(state.disposition(SIGINT), Disposition::Default);
        assert_eq!(state.pending(), SigSet::of(SIGUSR1));
    }
}
