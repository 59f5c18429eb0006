//! A memory while an instance has it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::LinearMemory;

use super::Memories;
use super::slot::Slot;

/// A slot that goes back where it came from when the instance is gone.
pub struct Lease {
    slot: Arc<Mutex<Option<Slot>>>,
    base: *mut u8,
    reserved: usize,
    guard: usize,
    home: Arc<Memories>,
}

// SAFETY: the pointer is only given to the engine, which knows when memory may be used; the slot
// it belongs to may be used from any thread.
unsafe impl Send for Lease {}
// SAFETY: likewise; through a shared reference nothing is written.
unsafe impl Sync for Lease {}

/// A way to a memory that an instance has, for as long as it has it.
#[derive(Debug, Clone)]
pub struct Handle(Weak<Mutex<Option<Slot>>>);

impl Lease {
    pub fn new(slot: Slot, home: Arc<Memories>) -> Lease {
        Lease {
            base: slot.base(),
            reserved: slot.reserved(),
            guard: slot.shape().1,
            slot: Arc::new(Mutex::new(Some(slot))),
            home,
        }
    }

    /// Bytes it can grow to, and of each guard.
    pub fn shape(&self) -> (usize, usize) {
        (self.reserved, self.guard)
    }

    pub fn handle(&self) -> Handle {
        Handle(Arc::downgrade(&self.slot))
    }
}

impl Handle {
    /// Works on the slot, while nothing of its instance runs; nothing where the instance is gone.
    pub fn with<T>(&self, work: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        let slot = self.0.upgrade()?;
        let mut slot = lock(&slot);
        slot.as_mut().map(work)
    }
}

fn lock(slot: &Mutex<Option<Slot>>) -> std::sync::MutexGuard<'_, Option<Slot>> {
    // Slots are whole between two of their operations, and none panics.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

// SAFETY: the base does not move, `byte_size` bytes from it are readable and writable, and what
// is beyond them up to the capacity, and the guards, is not accessible: see `Slot`. Whoever has a
// handle changes neither.
unsafe impl LinearMemory for Lease {
    fn byte_size(&self) -> usize {
        lock(&self.slot).as_ref().map_or(0, Slot::size)
    }

    fn byte_capacity(&self) -> usize {
        self.reserved
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        match lock(&self.slot).as_mut() {
            Some(slot) => {
                slot.grow(new_size)?;
                if slot.became_large() {
                    self.home.prepare_copy(slot);
                }
                Ok(())
            }
            None => Err(wasmtime::Error::msg("the memory is gone")),
        }
    }

    fn as_ptr(&self) -> *mut u8 {
        self.base
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let slot = lock(&self.slot).take();
        if let Some(slot) = slot {
            self.home.give_back(slot);
        }
    }
}
