//! What an artifact depends on.

use std::fmt;

use megabinary::digest::Digest;

use crate::cpu;
use crate::engine::{ENGINE_ID, WASMTIME_VERSION};
use crate::image::IMAGES_ID;

/// Names an artifact: the code, the engine that compiled it and its settings, the form of the
/// images behind it, this program's version, the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey(Digest);

impl CacheKey {
    /// The key of the megabinary `container_id` on this machine.
    #[must_use]
    pub fn of(container_id: &Digest) -> CacheKey {
        Self::from_parts(
            container_id,
            &[
                env!("CARGO_PKG_VERSION"),
                WASMTIME_VERSION,
                ENGINE_ID,
                IMAGES_ID,
                &cpu::identity(),
            ],
        )
    }

    fn from_parts(container_id: &Digest, parts: &[&str]) -> CacheKey {
        let mut text = container_id.to_string();
        for part in parts {
            // None of the parts holds a line end, so the lines cannot be read in another way.
            text.push('\n');
            text.push_str(part);
        }
        CacheKey(Digest::of(text.as_bytes()))
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{CacheKey, Digest};

    #[test]
    fn every_part_counts_and_none_can_stand_for_another() {
        let id = Digest::of(b"code");
        let key = |parts: &[&str]| CacheKey::from_parts(&id, parts);
        assert_eq!(key(&["1", "2"]), key(&["1", "2"]));
        assert_ne!(key(&["1", "2"]), key(&["2", "1"]));
        assert_ne!(key(&["12", ""]), key(&["1", "2"]));
        assert_ne!(
            CacheKey::from_parts(&Digest::of(b"other"), &["1"]),
            key(&["1"])
        );
        assert_eq!(CacheKey::of(&id).to_string().len(), 64);
    }
}
