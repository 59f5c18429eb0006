//! The linear memories of processes.
//!
//! The engine asks a [`MemoryCreator`] for each memory and does not say whose it is. The kernel
//! says it: it leaves a token for exactly one memory of one type around the instantiation
//! ([`Memories::arm`]), and that memory comes with the program's own size and its initial image
//! mapped copy on write. Any other memory, such as the engine's heap for exceptions, is zeros.
//!
//! Reserving four gigabytes of addresses and faulting in fresh pages costs more than running a
//! small program. So a memory goes back to what it was when its process ends, and waits in a
//! [`pool`] for the next process: one that cannot be told from a new one ([`slot`]).

mod copy;
mod lease;
mod pool;
mod scan;
mod slot;

use std::cell::Cell;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use crate::engine::EXCEPTION_HEAP;
use crate::image::Images;
pub use copy::{Copied, CopyError};
pub use lease::Handle;

use lease::Lease;
use pool::Pool;
use scan::{PageMap, Scan};
use slot::{Own, Slot};

/// What a process's memory is at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Its size in bytes.
    pub size: usize,
    /// The number of the program, if it has an image.
    pub image: Option<usize>,
}

/// What an instance is to have as its memory.
pub enum Wanted {
    /// A fresh one.
    New(Layout),
    /// One that was copied.
    Copy(Copied),
}

/// Makes, restores and keeps the memories of one kernel's processes.
pub struct Memories {
    images: Images,
    /// Tells which pages of a memory are its own. Without it, or where it does not work, all are
    /// given back to the host.
    scan: Option<Box<dyn Scan>>,
    pool: Mutex<Pool>,
}

impl Memories {
    /// For programs with these images. `page_map` is this process's own `/proc/self/pagemap`, if
    /// it could be opened.
    #[must_use]
    pub fn new(images: Images, page_map: Option<OwnedFd>) -> Arc<Memories> {
        let scan = page_map.map(|file| Box::new(PageMap::new(file)) as Box<dyn Scan>);
        Arc::new(Self::with_scan(images, scan))
    }

    fn with_scan(images: Images, scan: Option<Box<dyn Scan>>) -> Memories {
        Memories {
            images,
            scan,
            pool: Mutex::default(),
        }
    }

    /// Finds out whether own pages can be told, which is done once.
    pub fn check_scan(&self) {
        self.scan.as_ref().map(|scan| scan.works());
    }

    /// What the program with this number starts with, in a memory of `size` bytes.
    pub fn layout(&self, program: usize, size: usize) -> Result<Layout, crate::image::Damaged> {
        let image = self.images.of(program, size)?;
        let image = (!image.is_empty()).then_some(program);
        Ok(Layout { size, image })
    }

    /// Lays down what the next memory of type `ty` is that this thread makes, until the guard is
    /// gone. One memory gets it; [`Armed::finish`] says which.
    pub fn arm(self: &Arc<Self>, ty: MemoryType, wanted: Wanted) -> Armed {
        TOKEN.set(Token::Left(Order {
            of: Arc::as_ptr(self),
            ty,
            wanted,
        }));
        Armed(PhantomData)
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Pool> {
        // Nothing in there runs code that could panic half way.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A memory for `layout`: one that waits, laid out anew if need be, else a new one.
    fn slot(&self, layout: Layout, reserved: usize, guard: usize) -> std::io::Result<Slot> {
        let image = match layout.image {
            Some(program) => self.images.of(program, layout.size).ok(),
            None => None,
        };
        let waiting = self.pool().take(layout, (reserved, guard));
        match waiting {
            Some(mut slot) => {
                slot.lay_again(layout, image)?;
                Ok(slot)
            }
            None => {
                let mut slot = Slot::reserve(reserved, guard)?;
                slot.lay(layout, image)?;
                Ok(slot)
            }
        }
    }

    fn lease(
        self: &Arc<Self>,
        layout: Layout,
        reserved: usize,
        guard: usize,
    ) -> std::io::Result<Lease> {
        let slot = self.slot(layout, reserved, guard)?;
        Ok(Lease::new(slot, self.clone()))
    }

    /// Takes a memory back. Whatever goes wrong, nobody gets it again.
    fn give_back(&self, mut slot: Slot) {
        let image = slot
            .layout()
            .image
            .and_then(|program| self.images.of(program, slot.layout().size).ok());
        if slot.layout().image.is_some() && image.is_none() {
            return;
        }
        let keep = self.pool().room();
        let own = Own {
            scan: self.scan.as_deref().filter(|scan| scan.works()),
            image,
            keep,
        };
        let Ok(resident) = slot.restore(&own) else {
            return;
        };
        // Unmapped, if at all, after the lock is gone.
        let _too_many = self.pool().put(slot, resident);
    }
}

/// The engine's way to [`Memories`].
pub struct Creator(pub Arc<Memories>);

// SAFETY: a lease is memory of its own with `reserved` bytes of addresses and inaccessible guards
// on both sides, which does not move; beyond its size it is inaccessible; it is zeros, or what
// `Memories::arm` says and the kernel checks.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let failed = |error: std::io::Error| format!("making a process's memory: {error}");
        let reserved = reserved_size_in_bytes
            .ok_or("making a process's memory: the engine is not configured to reserve it")?;
        let order = match reserved {
            // It can be of the same type as the memory that is ordered, and comes before it.
            EXCEPTION_HEAP => None,
            _ => Order::take(&self.0, &ty),
        };
        let Some(order) = order else {
            let zeros = Layout {
                size: minimum,
                image: None,
            };
            let lease = self.0.lease(zeros, reserved, guard_size_in_bytes);
            return Ok(Box::new(lease.map_err(failed)?));
        };
        let (size, has_image) = match &order.wanted {
            Wanted::New(layout) => (layout.size, layout.image.is_some()),
            Wanted::Copy(copied) => (copied.size, false),
        };
        if size < minimum || size > reserved {
            return Err(format!(
                "making a process's memory: {size} bytes are not between {minimum} and {reserved}"
            ));
        }
        let lease = match order.wanted {
            Wanted::New(layout) => self
                .0
                .lease(layout, reserved, guard_size_in_bytes)
                .map_err(failed)?,
            Wanted::Copy(copied) => copied.lease,
        };
        if lease.shape() != (reserved, guard_size_in_bytes) {
            return Err("making a process's memory: the engine wants another shape".into());
        }
        TOKEN.set(Token::Taken(Laid {
            base: lease.as_ptr() as usize,
            size,
            has_image,
            handle: lease.handle(),
        }));
        Ok(Box::new(lease))
    }
}

thread_local! {
    static TOKEN: Cell<Token> = const { Cell::new(Token::None) };
}

/// What the kernel and the creator tell each other on one thread.
#[derive(Default)]
enum Token {
    #[default]
    None,
    Left(Order),
    Taken(Laid),
}

struct Order {
    of: *const Memories,
    ty: MemoryType,
    wanted: Wanted,
}

impl Order {
    /// The order, if one was left for a memory of this type. It is not there a second time.
    fn take(of: &Arc<Memories>, ty: &MemoryType) -> Option<Order> {
        match TOKEN.take() {
            Token::Left(order) if order.of == Arc::as_ptr(of) && order.ty == *ty => Some(order),
            other => {
                TOKEN.set(other);
                None
            }
        }
    }
}

/// See [`Memories::arm`]. Belongs to the thread that armed.
#[must_use]
pub struct Armed(PhantomData<*const ()>);

impl Armed {
    /// The memory that was made for it, if one was.
    #[must_use]
    pub fn finish(self) -> Option<Laid> {
        match TOKEN.take() {
            Token::Taken(laid) => Some(laid),
            _ => None,
        }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        TOKEN.set(Token::None);
    }
}

/// A memory that was made as ordered: everything of its layout is in place.
#[derive(Debug, Clone)]
pub struct Laid {
    base: usize,
    size: usize,
    has_image: bool,
    handle: Handle,
}

impl Laid {
    /// Whether it is the memory of `size` bytes at `base`.
    #[must_use]
    pub fn is(&self, base: *mut u8, size: usize) -> bool {
        self.base == base as usize && self.size == size
    }

    /// Whether it is fresh and its program's image is in it.
    #[must_use]
    pub fn has_image(&self) -> bool {
        self.has_image
    }

    /// Has it ready for forks of the process that has it. Nothing of that has run.
    pub fn will_fork(&self) {
        self.handle.with(Slot::will_fork);
    }

    /// The way to it while its instance has it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

#[cfg(test)]
mod tests;
