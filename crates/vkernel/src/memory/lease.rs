//! A memory while an instance has it.

use std::sync::Arc;

use wasmtime::LinearMemory;

use super::Memories;
use super::slot::Slot;

/// A slot that goes back where it came from when the instance is gone.
pub struct Lease {
    /// There until dropped.
    slot: Option<Slot>,
    home: Arc<Memories>,
}

impl Lease {
    pub fn new(slot: Slot, home: Arc<Memories>) -> Lease {
        Lease {
            slot: Some(slot),
            home,
        }
    }

    fn slot(&self) -> &Slot {
        self.slot.as_ref().expect("only drop takes it")
    }
}

// SAFETY: the base does not move, `byte_size` bytes from it are readable and writable, and what
// is beyond them up to the capacity, and the guards, is not accessible: see `Slot`.
unsafe impl LinearMemory for Lease {
    fn byte_size(&self) -> usize {
        self.slot().size()
    }

    fn byte_capacity(&self) -> usize {
        self.slot().reserved()
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        let slot = self.slot.as_mut().expect("only drop takes it");
        Ok(slot.grow(new_size)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.slot().base()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.home.give_back(slot);
        }
    }
}
