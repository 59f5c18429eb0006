//! Sets of host calls: one machine word pair, tested on every host call.

use std::fmt;

use super::HostCall;

/// A set of [`HostCall`]s as a bitmap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct HostCallSet(u128);

const _: () = assert!(
    HostCall::ALL.len() <= 128,
    "host calls no longer fit the bitmap"
);

impl HostCallSet {
    /// The set of no calls.
    pub const EMPTY: Self = Self(0);

    /// The set of one call.
    pub const fn of(call: HostCall) -> Self {
        Self(1 << call as u8)
    }

    /// Adds a call.
    pub const fn insert(&mut self, call: HostCall) {
        self.0 |= 1 << call as u8;
    }

    /// Whether the call is in the set.
    #[inline]
    pub const fn contains(self, call: HostCall) -> bool {
        self.0 >> call as u8 & 1 == 1
    }

    /// Whether every call of `other` is in the set.
    #[inline]
    pub const fn contains_all(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The calls of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The calls of this set which `other` lacks.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is no call in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bitmap. Bit numbers are those of this version of this crate: never store it where
    /// another version may read it.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// The set of a bitmap from [`HostCallSet::bits`]; bits without a call are dropped.
    pub const fn from_bits(bits: u128) -> Self {
        let known = u128::MAX >> (128 - HostCall::ALL.len());
        Self(bits & known)
    }

    /// The calls in the table's order.
    pub fn iter(self) -> impl Iterator<Item = HostCall> {
        HostCall::ALL
            .iter()
            .copied()
            .filter(move |call| self.contains(*call))
    }
}

impl FromIterator<HostCall> for HostCallSet {
    fn from_iter<I: IntoIterator<Item = HostCall>>(calls: I) -> Self {
        let mut set = Self::EMPTY;
        for call in calls {
            set.insert(call);
        }
        set
    }
}

impl fmt::Debug for HostCallSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|call| call.to_string()))
            .finish()
    }
}
