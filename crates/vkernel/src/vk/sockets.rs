//! Sockets: addresses, options and the rule of `networking` in front of [`crate::net`].

use super::MODULE;
use crate::errno::Errno;
use crate::fs::rights::FdRights;
use crate::host::HostLinker;
use crate::host_fn;
use crate::net::address::{GuestAddress, HostAddress, internet, nobody};
use crate::net::local::Found;
use crate::net::sock::{self, Sort, Whose};
use crate::net::{address, options};
use crate::plan::NetworkPolicy;
use crate::process::{HostResult, ProcState};
use crate::rights::HostCall;
use crate::wasi::HostCx;
use crate::wasi::fd_rw::write_or_end;
use crate::wasi::memory::GuestMem;
use crate::wasi::sock::host;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(MODULE, linker, VkSocket, socket(domain: i32, kind: i32, protocol: i32, made: u32));
    host_fn!(
        MODULE,
        linker,
        VkSocketpair,
        socketpair(domain: i32, kind: i32, protocol: i32, pair: u32)
    );
    host_fn!(MODULE, linker, VkBind, bind(fd: u32, address: u32, len: u32));
    host_fn!(MODULE, linker, VkListen, listen(fd: u32, backlog: i32));
    host_fn!(MODULE, linker, VkConnect, connect(fd: u32, address: u32, len: u32));
    host_fn!(
        MODULE,
        linker,
        VkAccept,
        accept(fd: u32, flags: i32, address: u32, len: u32, made: u32)
    );
    host_fn!(MODULE, linker, VkGetsockname, getsockname(fd: u32, address: u32, len: u32));
    host_fn!(MODULE, linker, VkGetpeername, getpeername(fd: u32, address: u32, len: u32));
    host_fn!(
        MODULE,
        linker,
        VkGetsockopt,
        getsockopt(fd: u32, level: i32, name: i32, value: u32, len: u32)
    );
    host_fn!(
        MODULE,
        linker,
        VkSetsockopt,
        setsockopt(fd: u32, level: i32, name: i32, value: u32, len: u32)
    );
    host_fn!(
        MODULE,
        linker,
        VkSendto,
        sendto(fd: u32, vectors: u32, count: u32, flags: i32, to: u32, len: u32, moved: u32)
    );
    host_fn!(
        MODULE,
        linker,
        VkRecvfrom,
        recvfrom(fd: u32, vectors: u32, count: u32, flags: i32, from: u32, len: u32, result: u32)
    );
    Ok(())
}

/// What a call does with sockets, and so which `networking` it needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Makes one, or ties one to an address that nobody handed in.
    Reach,
    /// Uses one as it was handed in.
    Held,
}

/// `EACCES`, recorded, where the manifest's `networking` does not let this be.
fn may(proc: &mut ProcState, call: HostCall, what: Use) -> Result<(), Errno> {
    match (proc.networking, what) {
        (NetworkPolicy::Host, _) | (NetworkPolicy::Restricted, Use::Held) => Ok(()),
        _ => {
            proc.denied(call);
            Err(Errno::ACCES)
        }
    }
}

/// The sort of a socket without the flags beside it, and these: non-blocking, close-on-exec.
fn kind_and_flags(kind: i32) -> (i32, bool, bool) {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    (
        kind & !flags,
        kind & libc::SOCK_NONBLOCK != 0,
        kind & libc::SOCK_CLOEXEC != 0,
    )
}

fn socket(cx: &mut HostCx<'_>, domain: i32, kind: i32, protocol: i32, made: u32) -> HostResult {
    may(cx.proc, HostCall::VkSocket, Use::Reach)?;
    cx.mem.slice(made, 4)?;
    let (kind, nonblock, closing) = kind_and_flags(kind);
    let sort = Sort::new(domain, kind, protocol)?;
    cx.proc.fds.check_room()?;
    let socket = sock::new(sort, nonblock)?.closing_on_exec(closing);
    let number = cx.proc.fds.insert(socket)?;
    Ok(cx.mem.write_u32(made, number)?)
}

fn socketpair(cx: &mut HostCx<'_>, domain: i32, kind: i32, protocol: i32, pair: u32) -> HostResult {
    may(cx.proc, HostCall::VkSocketpair, Use::Reach)?;
    cx.mem.slice(pair, 8)?;
    let (kind, nonblock, closing) = kind_and_flags(kind);
    let sort = Sort::new(domain, kind, protocol)?;
    let [first, second] = sock::pair(sort, nonblock)?;
    let fds = &mut cx.proc.fds;
    let first = fds.insert(first.closing_on_exec(closing))?;
    match fds.insert(second.closing_on_exec(closing)) {
        Ok(second) => Ok(cx
            .mem
            .write_u64(pair, u64::from(first) | u64::from(second) << 32)?),
        Err(error) => {
            fds.remove(first)?;
            Err(error.into())
        }
    }
}

/// The address a guest gave, ready for the host's kernel.
enum Target {
    Plain(HostAddress),
    Local(Found),
}

impl Target {
    fn find(proc: &ProcState, bytes: &[u8]) -> Result<Target, Errno> {
        Ok(match GuestAddress::read(bytes)? {
            GuestAddress::Nobody => Target::Plain(nobody()),
            GuestAddress::Internet(bytes) => Target::Plain(internet(bytes)),
            GuestAddress::Local(path) => {
                Target::Local(proc.vfs.socket_at(&proc.fs_context(), path)?)
            }
        })
    }

    fn address(&self) -> &HostAddress {
        match self {
            Target::Plain(address) => address,
            Target::Local(found) => &found.address,
        }
    }
}

fn bind(cx: &mut HostCx<'_>, fd: u32, address: u32, len: u32) -> HostResult {
    may(cx.proc, HostCall::VkBind, Use::Reach)?;
    let bytes = cx.mem.slice(address, len)?;
    let file = host(&cx.proc.fds, fd, FdRights::NONE)?;
    match GuestAddress::read(bytes)? {
        GuestAddress::Nobody => Ok(sock::bind(file, &nobody())?),
        GuestAddress::Internet(bytes) => Ok(sock::bind(file, &internet(bytes))?),
        GuestAddress::Local(path) => {
            let ctx = cx.proc.fs_context();
            let place = cx.proc.vfs.new_socket_at(&ctx, path)?;
            // What the host's kernel makes there has the socket's own mode.
            sock::set_mode(file, ctx.mode(0o777))?;
            sock::bind(file, &place.address)?;
            file.keep_name(place.bound(cx.proc.vfs.socket_names(), path));
            Ok(())
        }
    }
}

fn listen(cx: &mut HostCx<'_>, fd: u32, backlog: i32) -> HostResult {
    may(cx.proc, HostCall::VkListen, Use::Held)?;
    let file = host(&cx.proc.fds, fd, FdRights::NONE)?;
    // One that listens already only changes how many may wait.
    if !sock::listens(file)? {
        may(cx.proc, HostCall::VkListen, Use::Reach)?;
    }
    let file = host(&cx.proc.fds, fd, FdRights::NONE)?;
    Ok(sock::listen(file, backlog)?)
}

fn connect(cx: &mut HostCx<'_>, fd: u32, address: u32, len: u32) -> HostResult {
    may(cx.proc, HostCall::VkConnect, Use::Reach)?;
    let bytes = cx.mem.slice(address, len)?;
    let file = host(&cx.proc.fds, fd, FdRights::NONE)?;
    let to = Target::find(cx.proc, bytes)?;
    cx.proc
        .kill
        .interruptible(|| sock::connect(file, to.address()))
}

fn accept(
    cx: &mut HostCx<'_>,
    fd: u32,
    flags: i32,
    address: u32,
    len: u32,
    made: u32,
) -> HostResult {
    may(cx.proc, HostCall::VkAccept, Use::Held)?;
    let (rest, nonblock, closing) = kind_and_flags(flags);
    if rest != 0 {
        return Err(Errno::INVAL.into());
    }
    cx.mem.slice(made, 4)?;
    let room = AddressRoom::new(&cx.mem, address, len)?;
    cx.proc.fds.check_room()?;
    let file = host(&cx.proc.fds, fd, FdRights::SOCK_ACCEPT)?;
    let mut peer = HostAddress::room();
    let connection = cx
        .proc
        .kill
        .interruptible(|| sock::accept(file, nonblock, Some(&mut peer)))?;
    let number = cx.proc.fds.insert(connection.closing_on_exec(closing))?;
    room.fill(cx, &peer)?;
    Ok(cx.mem.write_u32(made, number)?)
}

/// Where the guest wants an address: its place, and where its length is told. Both may be 0.
struct AddressRoom {
    at: u32,
    room: u32,
    len: u32,
}

impl AddressRoom {
    fn new(mem: &GuestMem<'_>, at: u32, len: u32) -> Result<Option<AddressRoom>, Errno> {
        if at == 0 {
            return Ok(None);
        }
        let room = mem.read_u32(len)?.min(address::MAX as u32);
        mem.slice(at, room)?;
        Ok(Some(AddressRoom { at, room, len }))
    }
}

trait Fill {
    /// Writes as much of the address as fits, and how long it is.
    fn fill(self, cx: &mut HostCx<'_>, address: &HostAddress) -> Result<(), Errno>;
}

impl Fill for Option<AddressRoom> {
    fn fill(self, cx: &mut HostCx<'_>, address: &HostAddress) -> Result<(), Errno> {
        let Some(AddressRoom { at, room, len }) = self else {
            return Ok(());
        };
        let bytes = address.for_guest(cx.proc.vfs.socket_names());
        cx.mem.write(at, &bytes[..bytes.len().min(room as usize)])?;
        // Not more than `MAX`.
        cx.mem.write_u32(len, bytes.len() as u32)
    }
}

fn getsockname(cx: &mut HostCx<'_>, fd: u32, address: u32, len: u32) -> HostResult {
    may(cx.proc, HostCall::VkGetsockname, Use::Held)?;
    name(cx, fd, address, len, Whose::Own)
}

fn getpeername(cx: &mut HostCx<'_>, fd: u32, address: u32, len: u32) -> HostResult {
    may(cx.proc, HostCall::VkGetpeername, Use::Held)?;
    name(cx, fd, address, len, Whose::Peer)
}

fn name(cx: &mut HostCx<'_>, fd: u32, address: u32, len: u32, whose: Whose) -> HostResult {
    let room = AddressRoom::new(&cx.mem, address, len)?.ok_or(Errno::FAULT)?;
    let found = sock::address(host(&cx.proc.fds, fd, FdRights::NONE)?, whose)?;
    Ok(Some(room).fill(cx, &found)?)
}

fn getsockopt(
    cx: &mut HostCx<'_>,
    fd: u32,
    level: i32,
    name: i32,
    value: u32,
    len: u32,
) -> HostResult {
    may(cx.proc, HostCall::VkGetsockopt, Use::Held)?;
    let room = cx.mem.read_u32(len)?;
    let file = host(&cx.proc.fds, fd, FdRights::NONE)?;
    let mut bytes = sock::option(file, level, name, options::gettable(level, name)?)?;
    bytes.truncate(room as usize);
    cx.mem.write(value, &bytes)?;
    // At most what an option has.
    Ok(cx.mem.write_u32(len, bytes.len() as u32)?)
}

fn setsockopt(
    cx: &mut HostCx<'_>,
    fd: u32,
    level: i32,
    name: i32,
    value: u32,
    len: u32,
) -> HostResult {
    may(cx.proc, HostCall::VkSetsockopt, Use::Held)?;
    let bytes = cx.mem.slice(value, len)?;
    let file = host(&cx.proc.fds, fd, FdRights::NONE)?;
    let checked = options::settable(level, name)?.checked(bytes)?;
    Ok(sock::set_option(file, level, name, checked)?)
}

/// Flags of `sendto`.
const SEND: i32 = libc::MSG_DONTROUTE
    | libc::MSG_DONTWAIT
    | libc::MSG_EOR
    | libc::MSG_MORE
    | libc::MSG_NOSIGNAL
    | libc::MSG_OOB;
/// Flags of `recvfrom`.
const RECEIVE: i32 =
    libc::MSG_DONTWAIT | libc::MSG_OOB | libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_WAITALL;

#[allow(clippy::too_many_arguments, reason = "the signature is the module's")]
fn sendto(
    cx: &mut HostCx<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    flags: i32,
    to: u32,
    len: u32,
    moved: u32,
) -> HostResult {
    may(cx.proc, HostCall::VkSendto, Use::Held)?;
    if flags & !SEND != 0 {
        return Err(Errno::INVAL.into());
    }
    cx.mem.slice(moved, 4)?;
    let target = if to == 0 {
        None
    } else {
        let bytes = cx.mem.slice(to, len)?;
        // Whoever was handed a socket answers those who reach it, but names no other of this
        // machine's.
        if let GuestAddress::Local(_) = GuestAddress::read(bytes)? {
            may(cx.proc, HostCall::VkSendto, Use::Reach)?;
        }
        Some(Target::find(cx.proc, cx.mem.slice(to, len)?)?)
    };
    let to = target.as_ref().map(Target::address);
    let file = host(&cx.proc.fds, fd, FdRights::WRITE)?;
    let from = cx.mem.iovecs(vectors, count)?;
    let send = || sock::send(file, &from, flags, to);
    let bytes = if flags & libc::MSG_NOSIGNAL == 0 {
        write_or_end(cx.proc, send)?
    } else {
        cx.proc.kill.interruptible(send)?
    };
    Ok(cx.mem.write_u32(moved, bytes)?)
}

#[allow(clippy::too_many_arguments, reason = "the signature is the module's")]
fn recvfrom(
    cx: &mut HostCx<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    flags: i32,
    from: u32,
    len: u32,
    result: u32,
) -> HostResult {
    may(cx.proc, HostCall::VkRecvfrom, Use::Held)?;
    if flags & !RECEIVE != 0 {
        return Err(Errno::INVAL.into());
    }
    cx.mem.slice(result, 8)?;
    let room = AddressRoom::new(&cx.mem, from, len)?;
    let file = host(&cx.proc.fds, fd, FdRights::READ)?;
    let into = cx.mem.iovecs(vectors, count)?;
    let mut sender = HostAddress::room();
    let got = cx
        .proc
        .kill
        .interruptible(|| sock::receive(file, &into, flags, Some(&mut sender)))?;
    room.fill(cx, &sender)?;
    let bit = |set, flag: i32| if set { flag.unsigned_abs() } else { 0 };
    let told = bit(got.truncated, libc::MSG_TRUNC) | bit(got.end_of_record, libc::MSG_EOR);
    Ok(cx
        .mem
        .write_u64(result, u64::from(got.bytes) | u64::from(told) << 32)?)
}
