//! `args_*` and `environ_*`: the strings a program starts with.

use crate::errno::Errno;
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::wasi::HostCx;
use crate::wasi::memory::GuestMem;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(linker, ArgsSizesGet, args_sizes_get(count: u32, size: u32));
    host_fn!(linker, ArgsGet, args_get(pointers: u32, text: u32));
    host_fn!(linker, EnvironSizesGet, environ_sizes_get(count: u32, size: u32));
    host_fn!(linker, EnvironGet, environ_get(pointers: u32, text: u32));
    Ok(())
}

fn args_sizes_get(cx: &mut HostCx<'_>, count: u32, size: u32) -> HostResult {
    sizes(&mut cx.mem, &cx.proc.argv, count, size)
}

fn args_get(cx: &mut HostCx<'_>, pointers: u32, text: u32) -> HostResult {
    strings(&mut cx.mem, &cx.proc.argv, pointers, text)
}

fn environ_sizes_get(cx: &mut HostCx<'_>, count: u32, size: u32) -> HostResult {
    sizes(&mut cx.mem, &cx.proc.env, count, size)
}

fn environ_get(cx: &mut HostCx<'_>, pointers: u32, text: u32) -> HostResult {
    strings(&mut cx.mem, &cx.proc.env, pointers, text)
}

fn sizes(mem: &mut GuestMem<'_>, list: &[Vec<u8>], count: u32, size: u32) -> HostResult {
    let bytes: usize = list.iter().map(|text| text.len() + 1).sum();
    mem.write_u32(count, u32::try_from(list.len()).map_err(|_| Errno::TOOBIG)?)?;
    mem.write_u32(size, u32::try_from(bytes).map_err(|_| Errno::TOOBIG)?)?;
    Ok(())
}

fn strings(mem: &mut GuestMem<'_>, list: &[Vec<u8>], pointers: u32, text: u32) -> HostResult {
    let mut slot = pointers;
    let mut at = text;
    for string in list {
        mem.write_u32(slot, at)?;
        mem.write(at, string)?;
        let nul = at.checked_add(string.len() as u32).ok_or(Errno::FAULT)?;
        mem.write(nul, &[0])?;
        at = nul.checked_add(1).ok_or(Errno::FAULT)?;
        slot = slot.checked_add(4).ok_or(Errno::FAULT)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{sizes, strings};
    use crate::errno::Errno;
    use crate::process::Fail;
    use crate::wasi::memory::GuestMem;

    #[test]
    fn strings_are_laid_one_after_the_other_with_their_pointers() {
        let mut bytes = [0xffu8; 64];
        let mut mem = GuestMem::new(&mut bytes);
        let list = [b"ls".to_vec(), b"-l".to_vec()];
        sizes(&mut mem, &list, 0, 4).unwrap();
        strings(&mut mem, &list, 8, 32).unwrap();
        assert_eq!(mem.read_u32(0), Ok(2));
        assert_eq!(mem.read_u32(4), Ok(6));
        assert_eq!(mem.read_u32(8), Ok(32));
        assert_eq!(mem.read_u32(12), Ok(35));
        assert_eq!(mem.slice(32, 7), Ok(&b"ls\0-l\0\xff"[..]));
    }

    #[test]
    fn a_list_that_does_not_fit_is_a_fault() {
        let mut bytes = [0u8; 16];
        let mut mem = GuestMem::new(&mut bytes);
        let list = [b"0123456789".to_vec()];
        assert_eq!(
            strings(&mut mem, &list, 0, 8),
            Err(Fail::Errno(Errno::FAULT))
        );
        assert_eq!(
            strings(&mut mem, &list, u32::MAX, 0),
            Err(Fail::Errno(Errno::FAULT))
        );
        assert_eq!(
            sizes(&mut mem, &list, 14, 0),
            Err(Fail::Errno(Errno::FAULT))
        );
    }
}
