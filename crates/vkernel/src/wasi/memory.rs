//! Bounds-checked access to a guest's linear memory.
//!
//! A guest's memory is never shared between threads (the engine has no threads feature), so
//! while a host function holds it nobody else can change it: a length read once stays true.

use std::marker::PhantomData;

use crate::errno::Errno;

/// Vectors a single call takes; more are cut off, which POSIX calls a partial transfer.
pub const MAX_IOVECS: u32 = 1024;

/// How many vectors fit without an allocation: programs' libraries use one or two.
const INLINE_IOVECS: usize = 8;

/// The linear memory of the calling process.
pub struct GuestMem<'m> {
    bytes: &'m mut [u8],
}

impl<'m> GuestMem<'m> {
    /// Wraps the memory of the guest that is in a host call.
    pub fn new(bytes: &'m mut [u8]) -> Self {
        GuestMem { bytes }
    }

    fn range(&self, address: u32, len: usize) -> Result<std::ops::Range<usize>, Errno> {
        let start = address as usize;
        let end = start.checked_add(len).ok_or(Errno::FAULT)?;
        if end > self.bytes.len() {
            return Err(Errno::FAULT);
        }
        Ok(start..end)
    }

    /// The `len` bytes at `address`, or `EFAULT`.
    pub fn slice(&self, address: u32, len: u32) -> Result<&[u8], Errno> {
        let range = self.range(address, len as usize)?;
        Ok(&self.bytes[range])
    }

    /// The `len` bytes at `address` for writing, or `EFAULT`.
    pub fn slice_mut(&mut self, address: u32, len: u32) -> Result<&mut [u8], Errno> {
        let range = self.range(address, len as usize)?;
        Ok(&mut self.bytes[range])
    }

    /// A path or other text given by address and length: UTF-8, or `EILSEQ`.
    pub fn str(&self, address: u32, len: u32) -> Result<&str, Errno> {
        std::str::from_utf8(self.slice(address, len)?).map_err(|_| Errno::ILSEQ)
    }

    /// The bytes at `address` up to the next NUL, without it: at most `max` of them, or `E2BIG`;
    /// `EFAULT` where memory ends before.
    pub fn until_nul(&self, address: u32, max: usize) -> Result<&[u8], Errno> {
        let rest = self.bytes.get(address as usize..).ok_or(Errno::FAULT)?;
        let window = &rest[..rest.len().min(max + 1)];
        match window.iter().position(|byte| *byte == 0) {
            Some(len) => Ok(&window[..len]),
            None if window.len() > max => Err(Errno::TOOBIG),
            None => Err(Errno::FAULT),
        }
    }

    /// `N` bytes at `address`.
    pub fn array<const N: usize>(&self, address: u32) -> Result<[u8; N], Errno> {
        let range = self.range(address, N)?;
        self.bytes[range].try_into().map_err(|_| Errno::FAULT)
    }

    /// Copies `bytes` to `address`; writes nothing if they do not fit.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Errno> {
        let range = self.range(address, bytes.len())?;
        self.bytes[range].copy_from_slice(bytes);
        Ok(())
    }

    /// Reads a little-endian `u16`.
    pub fn read_u16(&self, address: u32) -> Result<u16, Errno> {
        self.array(address).map(u16::from_le_bytes)
    }

    /// Reads a little-endian `u32`.
    pub fn read_u32(&self, address: u32) -> Result<u32, Errno> {
        self.array(address).map(u32::from_le_bytes)
    }

    /// Reads a little-endian `u64`.
    pub fn read_u64(&self, address: u32) -> Result<u64, Errno> {
        self.array(address).map(u64::from_le_bytes)
    }

    /// Writes a little-endian `u32`.
    pub fn write_u32(&mut self, address: u32, value: u32) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    /// Writes a little-endian `u64`.
    pub fn write_u64(&mut self, address: u32, value: u64) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    /// Gathers the `count` `iovec`s at `address` without copying what they point to.
    ///
    /// They are raw pointers into this memory because a guest may name the same bytes twice,
    /// which Rust's slices could not. The result borrows the memory for as long as the host's
    /// system call uses it. The sum of the lengths fits an `i32`, as Linux demands, or `EINVAL`.
    pub fn iovecs(&mut self, address: u32, count: u32) -> Result<Iovecs<'_>, Errno> {
        let count = count.min(MAX_IOVECS);
        let list = self.range(address, count as usize * 8)?;
        let base = self.bytes.as_mut_ptr();
        let size = self.bytes.len();
        let mut out = Iovecs::new();
        let mut total: u64 = 0;
        for entry in 0..count as usize {
            let at = list.start + entry * 8;
            // SAFETY: `at + 8 <= list.end <= size`, checked by `range`; the bytes are
            // initialised memory of the guest. Reading through `base` keeps the pointers that
            // are handed out valid, which a new borrow of `self.bytes` would not.
            let [start, len] = unsafe {
                [
                    u32::from_le(base.add(at).cast::<u32>().read_unaligned()),
                    u32::from_le(base.add(at + 4).cast::<u32>().read_unaligned()),
                ]
            };
            let end = start as usize + len as usize;
            if end > size {
                return Err(Errno::FAULT);
            }
            total += u64::from(len);
            // SAFETY: `start <= end <= size`, so the pointer stays inside the memory.
            let iov_base = unsafe { base.add(start as usize) };
            out.push(libc::iovec {
                iov_base: iov_base.cast(),
                iov_len: len as usize,
            });
        }
        if total > i32::MAX as u64 {
            return Err(Errno::INVAL);
        }
        Ok(out)
    }
}

/// Host `iovec`s that point into a guest's memory; made by [`GuestMem::iovecs`].
pub struct Iovecs<'m> {
    inline: [libc::iovec; INLINE_IOVECS],
    len: usize,
    /// All of them, once they are more than `INLINE_IOVECS`.
    spilled: Vec<libc::iovec>,
    memory: PhantomData<&'m mut [u8]>,
}

impl Iovecs<'_> {
    fn new() -> Self {
        Iovecs {
            inline: [libc::iovec {
                iov_base: std::ptr::null_mut(),
                iov_len: 0,
            }; INLINE_IOVECS],
            len: 0,
            spilled: Vec::new(),
            memory: PhantomData,
        }
    }

    fn push(&mut self, vector: libc::iovec) {
        if self.len < INLINE_IOVECS {
            self.inline[self.len] = vector;
        } else {
            if self.spilled.is_empty() {
                self.spilled.extend_from_slice(&self.inline);
            }
            self.spilled.push(vector);
        }
        self.len += 1;
    }

    /// How many bytes they name together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.as_slice()
            .iter()
            .map(|vector| vector.iov_len as u64)
            .sum()
    }

    /// Leaves only the first `bytes` bytes of what they name.
    pub fn truncate(&mut self, bytes: u64) {
        let len = self.len;
        let vectors = if self.spilled.is_empty() {
            &mut self.inline[..len]
        } else {
            &mut self.spilled[..]
        };
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        for vector in vectors {
            vector.iov_len = vector.iov_len.min(left);
            left -= vector.iov_len;
        }
    }

    /// The vectors, for `readv`, `writev` and their kin.
    #[must_use]
    pub fn as_slice(&self) -> &[libc::iovec] {
        if self.spilled.is_empty() {
            &self.inline[..self.len]
        } else {
            &self.spilled
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GuestMem, MAX_IOVECS};
    use crate::errno::Errno;

    #[test]
    fn access_ends_where_memory_ends() {
        let mut bytes = [7u8; 64];
        let mut mem = GuestMem::new(&mut bytes);
        assert_eq!(mem.read_u64(56), Ok(0x0707_0707_0707_0707));
        assert_eq!(mem.read_u64(57), Err(Errno::FAULT));
        assert_eq!(mem.slice(64, 0).map(<[u8]>::len), Ok(0));
        assert_eq!(mem.slice(65, 0), Err(Errno::FAULT));
        assert_eq!(mem.slice(u32::MAX, u32::MAX), Err(Errno::FAULT));
        assert_eq!(mem.write(60, &[1; 5]), Err(Errno::FAULT));
        assert_eq!(mem.slice(60, 4), Ok(&[7u8; 4][..]));
    }

    #[test]
    fn a_text_ends_at_its_nul_and_never_outside_memory() {
        let mut bytes = *b"ab\0cdef";
        let mem = GuestMem::new(&mut bytes);
        assert_eq!(mem.until_nul(0, 2), Ok(&b"ab"[..]));
        assert_eq!(mem.until_nul(2, 0), Ok(&b""[..]));
        assert_eq!(mem.until_nul(0, 1), Err(Errno::TOOBIG));
        assert_eq!(mem.until_nul(3, 100), Err(Errno::FAULT));
        assert_eq!(mem.until_nul(7, 100), Err(Errno::FAULT));
        assert_eq!(mem.until_nul(u32::MAX, 100), Err(Errno::FAULT));
    }

    #[test]
    fn vectors_point_into_the_memory_and_are_bounded() {
        let mut bytes = vec![0u8; 65536];
        let base = bytes.as_ptr() as usize;
        let mut mem = GuestMem::new(&mut bytes);
        for entry in 0..20u32 {
            mem.write_u32(entry * 8, 1000 + entry).unwrap();
            mem.write_u32(entry * 8 + 4, entry).unwrap();
        }
        let vectors = mem.iovecs(0, 20).unwrap();
        for (entry, vector) in vectors.as_slice().iter().enumerate() {
            assert_eq!(vector.iov_base as usize, base + 1000 + entry);
            assert_eq!(vector.iov_len, entry);
        }
        assert_eq!(vectors.as_slice().len(), 20);
        assert_eq!(
            mem.iovecs(0, u32::MAX).unwrap().as_slice().len(),
            MAX_IOVECS as usize
        );
        assert_eq!(mem.iovecs(65530, 1).err(), Some(Errno::FAULT));
        mem.write_u32(0, 65535).unwrap();
        mem.write_u32(4, 2).unwrap();
        assert_eq!(mem.iovecs(0, 1).err(), Some(Errno::FAULT));
    }

    #[test]
    fn a_transfer_of_more_than_two_gigabytes_is_refused() {
        let mut bytes = vec![0u8; 8 << 20];
        let mut mem = GuestMem::new(&mut bytes);
        for entry in 0..1024u32 {
            mem.write_u32(entry * 8, 0).unwrap();
            mem.write_u32(entry * 8 + 4, 8 << 20).unwrap();
        }
        assert_eq!(mem.iovecs(0, 1024).err(), Some(Errno::INVAL));
    }
}
