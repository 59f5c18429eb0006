//! Sockets that were handed in, and calls that wait: each ends when the process is killed.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, Instant};

use support::{Arg, Calls, Ours, Side, rights};
use vkernel::errno::Errno;
use vkernel::kill::install_interrupt_handler;

use Arg::{D, W};

const OUT: u32 = 64;
const VECTORS: u32 = 256;
const DATA: u32 = 65536;

fn err<T>(errno: Errno) -> Result<T, u16> {
    Err(errno.raw())
}

fn receive(guest: &mut Ours, fd: u32, len: u32, flags: u32) -> Result<(Vec<u8>, u16), u16> {
    let (list, count) = guest.vectors(&[(DATA, len)]);
    guest.raw(
        "sock_recv",
        &[W(fd), list, count, W(flags), W(OUT), W(OUT + 8)],
    )?;
    let got = guest.out32();
    let flags = guest.get(OUT + 8, 2);
    Ok((
        guest.get(DATA, got),
        u16::from_le_bytes([flags[0], flags[1]]),
    ))
}

fn send(guest: &mut Ours, fd: u32, bytes: &[u8]) -> Result<u32, u16> {
    guest.put(DATA, bytes);
    let (list, count) = guest.vectors(&[(DATA, bytes.len() as u32)]);
    guest.raw("sock_send", &[W(fd), list, count, W(0), W(OUT)])?;
    Ok(guest.out32())
}

#[test]
fn a_listening_socket_serves() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let mut guest = Ours::at(dir.path());
    guest.give(10, OwnedFd::from(UnixListener::bind(&path).unwrap()));
    assert_eq!(guest.fdstat(10).unwrap().0, 6);
    let mut client = UnixStream::connect(&path).unwrap();
    guest.raw("sock_accept", &[W(10), W(0), W(OUT)]).unwrap();
    let fd = guest.out32();
    client.write_all(b"question").unwrap();
    assert_eq!(
        receive(&mut guest, fd, 100, 1),
        Ok((b"question".to_vec(), 0))
    );
    assert_eq!(receive(&mut guest, fd, 8, 2), Ok((b"question".to_vec(), 0)));
    assert_eq!(send(&mut guest, fd, b"answer"), Ok(6));
    let mut answer = [0; 6];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"answer");
    guest.raw("sock_shutdown", &[W(fd), W(2)]).unwrap();
    assert_eq!(client.read(&mut answer).unwrap(), 0);
    assert_eq!(
        guest.raw("sock_shutdown", &[W(fd), W(0)]),
        err(Errno::INVAL)
    );
    assert_eq!(
        guest.raw("sock_accept", &[W(10), W(1), W(OUT)]),
        err(Errno::INVAL)
    );
    assert_eq!(
        guest.raw("sock_accept", &[W(3), W(0), W(OUT)]),
        err(Errno::NOTSOCK)
    );
    assert_eq!(send(&mut guest, 1, b"x"), err(Errno::NOTSOCK));
    // Nobody left to write to: as SIGPIPE.
    drop(client);
    let end = guest.call("sock_send", &[W(fd), W(VECTORS), W(1), W(0), W(OUT)]);
    assert!(end.is_err(), "{end:?}");
}

#[test]
fn a_nonblocking_connection_says_that_it_would_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let mut guest = Ours::at(dir.path());
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    guest.give(10, OwnedFd::from(listener));
    assert_eq!(
        guest.raw("sock_accept", &[W(10), W(4), W(OUT)]),
        err(Errno::AGAIN)
    );
    let _client = UnixStream::connect(&path).unwrap();
    guest.raw("sock_accept", &[W(10), W(4), W(OUT)]).unwrap();
    let fd = guest.out32();
    assert_eq!(receive(&mut guest, fd, 1, 0), err(Errno::AGAIN));
}

#[test]
fn a_datagram_that_does_not_fit_is_cut_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Ours::at(dir.path());
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    guest.give(10, OwnedFd::from(ours));
    assert_eq!(guest.fdstat(10).unwrap().0, 5);
    theirs.send(b"longer than that").unwrap();
    assert_eq!(receive(&mut guest, 10, 6, 0), Ok((b"longer".to_vec(), 1)));
}

/// A guest in `call`, which must wait, is killed and must be gone at once.
fn ends_when_killed(
    prepare: impl FnOnce(&mut Ours) + Send + 'static,
    name: &'static str,
    args: &'static [Arg],
) {
    install_interrupt_handler().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut guest = Ours::at(&path);
        prepare(&mut guest);
        let kill = guest.state().kill.clone();
        let _here = kill.enter_thread();
        tell.send(kill.clone()).unwrap();
        guest.call(name, args)
    });
    let kill = told.recv().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(!thread.is_finished(), "{name} did not wait");
    let start = Instant::now();
    let engine = wasmtime::Engine::default();
    kill.end(libc::SIGKILL);
    while !thread.is_finished() {
        kill.kick(&engine);
        std::thread::sleep(Duration::from_millis(1));
    }
    let end = thread.join().unwrap();
    assert_eq!(end, Err("killed by signal 9".into()), "{name}");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{name} took {:?}",
        start.elapsed()
    );
}

/// One vector of a megabyte at `VECTORS`.
fn vector(guest: &mut Ours) {
    guest.vectors(&[(DATA, 1 << 20)]);
}

#[test]
fn reading_an_empty_pipe_ends() {
    let (reader, writer) = std::io::pipe().unwrap();
    ends_when_killed(
        move |guest| {
            vector(guest);
            guest.give(10, OwnedFd::from(reader));
        },
        "fd_read",
        &[W(10), W(VECTORS), W(1), W(OUT)],
    );
    drop(writer);
}

#[test]
fn writing_a_full_pipe_ends() {
    let (reader, writer) = std::io::pipe().unwrap();
    // Full already: otherwise what was written before the kill would be the result.
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while rustix::io::write(&writer, &[0; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    ends_when_killed(
        move |guest| {
            vector(guest);
            guest.give(10, OwnedFd::from(writer));
        },
        "fd_write",
        &[W(10), W(VECTORS), W(1), W(OUT)],
    );
    drop(reader);
}

#[test]
fn waiting_for_a_connection_or_a_message_ends() {
    ends_when_killed(
        |guest| {
            let dir = tempfile::tempdir().unwrap();
            guest.give(
                10,
                OwnedFd::from(UnixListener::bind(dir.path().join("s")).unwrap()),
            );
        },
        "sock_accept",
        &[W(10), W(0), W(OUT)],
    );
    let (ours, theirs) = UnixStream::pair().unwrap();
    ends_when_killed(
        move |guest| {
            vector(guest);
            guest.give(10, OwnedFd::from(ours));
        },
        "sock_recv",
        &[W(10), W(VECTORS), W(1), W(0), W(OUT), W(OUT + 8)],
    );
    drop(theirs);
}

#[test]
fn waiting_for_a_time_or_a_descriptor_ends() {
    // A clock, a second away from the end of time.
    ends_when_killed(
        |guest| {
            let mut list = [0u8; 48];
            list[16] = 1;
            list[24..32].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
            guest.put(1024, &list);
        },
        "poll_oneoff",
        &[W(1024), W(2048), W(1), W(OUT)],
    );
    let (reader, writer) = std::io::pipe().unwrap();
    ends_when_killed(
        move |guest| {
            guest.give(10, OwnedFd::from(reader));
            let mut list = [0u8; 48];
            list[8] = 1;
            list[16] = 10;
            guest.put(1024, &list);
        },
        "poll_oneoff",
        &[W(1024), W(2048), W(1), W(OUT)],
    );
    drop(writer);
}

#[test]
fn opening_a_fifo_that_nobody_else_opens_ends() {
    ends_when_killed(
        |guest| {
            let root = guest
                .state()
                .vfs
                .root()
                .as_fd()
                .try_clone_to_owned()
                .unwrap();
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(&root, c"fifo", rustix::fs::FileType::Fifo, mode, 0).unwrap();
            guest.put(4096, b"fifo");
        },
        "path_open",
        &[
            W(3),
            W(1),
            W(4096),
            W(4),
            W(0),
            D(rights::READ),
            D(0),
            W(0),
            W(OUT),
        ],
    );
}

#[test]
fn poll_writes_its_events_and_checks_its_lists() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Ours::at(dir.path());
    let (reader, mut writer) = std::io::pipe().unwrap();
    guest.give(10, OwnedFd::from(reader));
    writer.write_all(b"12345").unwrap();
    let mut list = [0u8; 96];
    list[0] = 0xaa;
    list[8] = 1;
    list[16] = 10;
    list[48] = 0xbb;
    list[56] = 2;
    list[64] = 1;
    guest.put(1024, &list);
    guest
        .raw("poll_oneoff", &[W(1024), W(2048), W(2), W(OUT)])
        .unwrap();
    assert_eq!(guest.out32(), 2);
    let events = guest.get(2048, 64);
    assert_eq!((events[0], events[10], events[16]), (0xaa, 1, 5));
    assert_eq!((events[32], events[42]), (0xbb, 2));
    assert_eq!(
        guest.raw("poll_oneoff", &[W(1024), W(2048), W(0), W(OUT)]),
        err(Errno::INVAL)
    );
    assert_eq!(
        guest.raw("poll_oneoff", &[W(1024), W(2048), W(u32::MAX), W(OUT)]),
        err(Errno::INVAL)
    );
    let end = 64 * 65536;
    assert_eq!(
        guest.raw("poll_oneoff", &[W(end - 47), W(2048), W(1), W(OUT)]),
        err(Errno::FAULT)
    );
    assert_eq!(
        guest.raw("poll_oneoff", &[W(1024), W(end - 63), W(2), W(OUT)]),
        err(Errno::FAULT)
    );
    guest.put(1024 + 8, &[3]);
    assert_eq!(
        guest.raw("poll_oneoff", &[W(1024), W(2048), W(2), W(OUT)]),
        err(Errno::INVAL)
    );
}
