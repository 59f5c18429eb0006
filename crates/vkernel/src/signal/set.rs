//! Sets of signals, as bit `n - 1` for signal `n`: Linux's layout.

use super::MAX;

/// A set of signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SigSet(u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: SigSet = SigSet(0);

    /// The set of these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> SigSet {
        SigSet(bits)
    }

    /// Bit `n - 1` for signal `n`.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The set of one signal, which must be one.
    #[must_use]
    pub const fn of(signal: i32) -> SigSet {
        debug_assert!(signal >= 1 && signal <= MAX);
        SigSet(1 << (signal - 1))
    }

    /// Whether the signal is in it.
    #[must_use]
    pub const fn contains(self, signal: i32) -> bool {
        self.0 & SigSet::of(signal).0 != 0
    }

    /// Whether there is none in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in either.
    #[must_use]
    pub const fn with(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }

    /// What is in this one only.
    #[must_use]
    pub const fn without(self, other: SigSet) -> SigSet {
        SigSet(self.0 & !other.0)
    }

    /// Its lowest signal.
    #[must_use]
    pub const fn first(self) -> Option<i32> {
        if self.0 == 0 {
            None
        } else {
            Some(self.0.trailing_zeros() as i32 + 1)
        }
    }

    /// Its signals, ascending.
    pub fn iter(self) -> impl Iterator<Item = i32> {
        (1..=MAX).filter(move |signal| self.contains(*signal))
    }
}
