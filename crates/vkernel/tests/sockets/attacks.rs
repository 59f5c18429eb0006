//! A guest that lies about addresses, lengths and sizes, and others that send it what it must not
//! have.

use std::io::IoSlice;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use vkernel::descriptor::Descriptor;
use vkernel::errno::Errno;

use crate::calls::*;
use crate::support::{Arg, Arg::W, Calls, Ours};

fn guest() -> (tempfile::TempDir, Ours) {
    let dir = tempfile::tempdir().unwrap();
    let guest = Ours::at(dir.path());
    (dir, guest)
}

const END: u32 = 64 * 65536;

#[test]
fn no_other_sort_of_socket_is_made() {
    let (_dir, mut guest) = guest();
    // Netlink, packets, virtual machines, kernel crypto, bluetooth, Xdp, …
    for family in (0..64).filter(|family| ![UNIX, INET, INET6].contains(family)) {
        for kind in [1, 2, 3, 5] {
            assert_eq!(
                guest.socket(family, kind),
                Err(Errno::AFNOSUPPORT.raw()),
                "{family}"
            );
        }
    }
    for family in [INET, INET6] {
        for (kind, protocol) in [
            (3, 1),
            (3, 255),
            (2, 1),
            (2, 58),
            (1, 132),
            (1, 262),
            (5, 132),
            (10, 0),
            (4, 0),
        ] {
            let made = guest.raw("socket", &[W(family), W(kind), W(protocol), W(OUT)]);
            assert_eq!(
                made,
                Err(Errno::PROTONOSUPPORT.raw()),
                "{family} {kind} {protocol}"
            );
        }
    }
    let made = guest.raw("socketpair", &[W(INET), W(1), W(0), W(OUT)]);
    assert_eq!(made, Err(Errno::NOTSUP.raw()));
    assert_eq!(guest.state().fds.iter().count(), 4, "nothing was left open");
}

#[test]
fn a_foreign_family_is_not_handed_on() {
    let netlink = rustix::net::socket(
        rustix::net::AddressFamily::NETLINK,
        rustix::net::SocketType::RAW,
        None,
    )
    .unwrap();
    assert_eq!(Descriptor::inherited(netlink).err(), Some(Errno::ACCES));
}

#[test]
fn abstract_names_are_not_there() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("megarun-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let (_dir, mut guest) = guest();
    let wanted = [&[1, 0, 0], name.as_bytes()].concat();
    let socket = guest.socket(UNIX, STREAM).unwrap();
    assert_eq!(guest.connect(socket, &wanted), Err(Errno::INVAL.raw()));
    assert_eq!(guest.bind(socket, &wanted), Err(Errno::INVAL.raw()));
    // Nor does the host's kernel choose one.
    assert_eq!(guest.bind(socket, &[1, 0]), Err(Errno::INVAL.raw()));
    let datagram = guest.socket(UNIX, DATAGRAM).unwrap();
    assert_eq!(
        guest.send_to(datagram, b"x", 0, &wanted),
        Err(Errno::INVAL.raw())
    );
    assert_eq!(
        guest.set_option(socket, 1, 16, &[1, 0, 0, 0]),
        Err(Errno::NOPROTOOPT.raw())
    );
}

#[test]
fn no_path_leads_out_of_the_root() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    let _listener = UnixListener::bind(&secret).unwrap();
    let (dir, mut guest) = guest();
    symlink(&secret, dir.path().join("link")).unwrap();
    symlink("../../../../../../../../../..", dir.path().join("up")).unwrap();
    let path = secret.to_str().unwrap();
    let climbing = format!("../../../../../../../..{path}");
    let over = format!("up{path}");
    let fd = std::os::fd::AsRawFd::as_raw_fd(&_listener);
    let own = format!("/proc/self/fd/{fd}");
    let root = format!("/proc/self/root{path}");
    let first = format!("/proc/1/root{path}");
    for name in [path, "link", &climbing, &over, &own, &root, &first] {
        let socket = guest.socket(UNIX, STREAM).unwrap();
        let reached = guest.connect(socket, &local(name));
        assert!(
            [Errno::NOENT, Errno::CONNREFUSED, Errno::ACCES]
                .map(Errno::raw)
                .contains(&reached.unwrap_err()),
            "{name}: {reached:?}"
        );
        guest.close(socket).unwrap();
    }
    // Nothing is made outside either.
    let place = format!("{}/made", outside.path().display());
    symlink(outside.path(), dir.path().join("there")).unwrap();
    let climbing = format!("../../../../../../../..{place}");
    for name in [
        &place[..],
        "there/made",
        &climbing,
        "/proc/made",
        "/proc/self/fd/made",
        ".",
    ] {
        let socket = guest.socket(UNIX, STREAM).unwrap();
        assert!(guest.bind(socket, &local(name)).is_err(), "{name}");
        guest.close(socket).unwrap();
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_descriptor_in_a_message_does_not_arrive() {
    let (_dir, mut guest) = guest();
    let before = open_files();
    for call in ["recvfrom", "sock_recv", "fd_read"] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let secret = tempfile::tempfile().unwrap();
        let fds = [secret.as_fd()];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(
            &theirs,
            &[IoSlice::new(b"x")],
            &mut control,
            SendFlags::empty(),
        )
        .unwrap();
        guest.give(10, ours);
        let had = guest.state().fds.iter().count();
        let (list, count) = guest.vectors(&[(DATA, 16)]);
        let args: &[Arg] = match call {
            "recvfrom" => &[W(10), list, count, W(0), W(0), W(0), W(OUT)],
            "sock_recv" => &[W(10), list, count, W(0), W(OUT), W(OUT + 8)],
            _ => &[W(10), list, count, W(OUT)],
        };
        guest.raw(call, args).unwrap();
        assert_eq!(
            (guest.out32(), guest.get(DATA, 1)),
            (1, b"x".to_vec()),
            "{call}"
        );
        assert_eq!(guest.state().fds.iter().count(), had, "{call}");
        drop((theirs, secret));
        guest.close(10).unwrap();
    }
    assert_eq!(open_files(), before, "the kernel's process got none");
}

/// Regular files that this process has open without a name: what the test sends.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|path| {
            path.to_string_lossy().contains("/#") || path.to_string_lossy().ends_with(" (deleted)")
        })
        .count()
}

#[test]
fn addresses_outside_memory_are_faults_before_anything_happens() {
    let (_dir, mut guest) = guest();
    let fault = Err(Errno::FAULT.raw());
    let socket = guest.socket(INET, STREAM).unwrap();
    let count = guest.state().fds.iter().count();
    for (name, args) in [
        ("socket", &[W(INET), W(STREAM), W(0), W(END - 3)][..]),
        ("socketpair", &[W(UNIX), W(STREAM), W(0), W(END - 7)]),
        ("bind", &[W(socket), W(END - 15), W(16)]),
        ("bind", &[W(socket), W(u32::MAX), W(u32::MAX)]),
        ("connect", &[W(socket), W(END - 1), W(16)]),
        ("accept", &[W(socket), W(0), W(0), W(0), W(END - 3)]),
        ("accept", &[W(socket), W(0), W(ADDRESS), W(END - 3), W(OUT)]),
        ("getsockname", &[W(socket), W(0), W(LEN)]),
        ("getsockname", &[W(socket), W(ADDRESS), W(END)]),
        ("getsockopt", &[W(socket), W(1), W(3), W(VALUE), W(END - 2)]),
        ("setsockopt", &[W(socket), W(1), W(2), W(END - 2), W(4)]),
        (
            "sendto",
            &[W(socket), W(VECTORS), W(1), W(0), W(END), W(16), W(OUT)],
        ),
        (
            "sendto",
            &[W(socket), W(VECTORS), W(1), W(0), W(0), W(0), W(END)],
        ),
        (
            "sendto",
            &[W(socket), W(END - 4), W(1), W(0), W(0), W(0), W(OUT)],
        ),
        (
            "recvfrom",
            &[W(socket), W(VECTORS), W(1), W(0), W(0), W(0), W(END - 7)],
        ),
    ] {
        assert_eq!(guest.raw(name, args), fault, "{name} {args:?}");
    }
    // Room that ends outside, by a length the guest chose.
    guest.room(100);
    let args = [W(socket), W(END - 50), W(LEN)];
    assert_eq!(guest.raw("getsockname", &args), fault);
    // A length beyond every address is room for one, as far as memory goes.
    guest.room(u32::MAX);
    assert_eq!(
        guest.raw("getsockname", &[W(socket), W(ADDRESS), W(LEN)]),
        Ok(())
    );
    guest.room(u32::MAX);
    assert_eq!(
        guest.raw("getsockopt", &[W(socket), W(1), W(3), W(VALUE), W(LEN)]),
        Ok(())
    );
    assert_eq!(guest.state().fds.iter().count(), count);
    let vectors = [W(socket), W(VECTORS), W(u32::MAX), W(0), W(0), W(0), W(OUT)];
    // 1024 of them count, and it is connected to nobody.
    assert_eq!(guest.raw("sendto", &vectors), Err(u16::MAX));
}

#[test]
fn unknown_flags_and_wrong_descriptors_are_told() {
    let (_dir, mut guest) = guest();
    let (one, _other) = guest.pair(STREAM).unwrap();
    let inval = Err(Errno::INVAL.raw());
    // MSG_FASTOPEN, MSG_ZEROCOPY, MSG_ERRQUEUE, MSG_CMSG_CLOEXEC, and what nobody knows.
    for flag in [
        0x2000_0000,
        0x0400_0000,
        0x2000,
        0x4000_0000,
        1 << 31,
        1 << 20,
    ] {
        assert_eq!(
            guest.send_to(one, b"x", flag, &[]).map(drop),
            inval,
            "{flag:x}"
        );
        assert_eq!(
            guest.receive_from(one, 1, flag).map(drop),
            inval,
            "{flag:x}"
        );
    }
    assert_eq!(guest.accept(one, 1).map(drop), inval);
    assert_eq!(guest.accept(one, 0).map(drop), inval, "it does not listen");
    for fd in [3, 1] {
        assert_eq!(guest.listen(fd), Err(Errno::NOTSOCK.raw()));
        assert_eq!(guest.bind(fd, &local("/x")), Err(Errno::NOTSOCK.raw()));
        assert_eq!(guest.send(fd, b"x"), Err(Errno::NOTSOCK.raw()));
        assert_eq!(guest.own(fd), Err(Errno::NOTSOCK.raw()));
    }
    assert_eq!(guest.connect(77, &local("/x")), Err(Errno::BADF.raw()));
}

#[test]
fn connections_end_at_the_descriptor_limit() {
    let (dir, mut guest) = guest();
    let server = guest.socket(UNIX, STREAM | NONBLOCK).unwrap();
    guest.bind(server, &local("/server")).unwrap();
    guest.raw("listen", &[W(server), W(1000)]).unwrap();
    let _clients: Vec<_> = (0..100)
        .map(|_| UnixStream::connect(dir.path().join("server")).unwrap())
        .collect();
    let mut accepted = Vec::new();
    let end = loop {
        match guest.accept(server, 0) {
            Ok((fd, _)) => accepted.push(fd),
            Err(errno) => break errno,
        }
    };
    // The table has 64 numbers.
    assert_eq!((accepted.len(), end), (64 - 5, Errno::MFILE.raw()));
    assert_eq!(guest.socket(INET, STREAM), Err(Errno::MFILE.raw()));
    assert_eq!(guest.pair(STREAM), Err(Errno::MFILE.raw()));
    // One place is not enough for two, and none is lost.
    guest.close(accepted[0]).unwrap();
    assert_eq!(guest.pair(STREAM), Err(Errno::MFILE.raw()));
    // What did not get a number still waits.
    assert!(guest.accept(server, 0).is_ok());
}

#[test]
fn huge_buffers_are_bounded_by_the_host() {
    let (_dir, mut guest) = guest();
    let (one, _other) = guest.pair(DATAGRAM).unwrap();
    guest
        .set_option(one, 1, 7, &u32::MAX.to_le_bytes())
        .unwrap();
    guest
        .set_option(one, 1, 8, &(i32::MAX as u32).to_le_bytes())
        .unwrap();
    let size = guest.option(one, 1, 7).unwrap();
    assert!(u32::from_le_bytes(size.try_into().unwrap()) < 1 << 30);
    // The whole memory as one message, many times over.
    let list: Vec<(u32, u32)> = (0..400).map(|_| (0, END)).collect();
    for (number, (start, len)) in list.iter().enumerate() {
        let at = 1 << 20 | (number as u32 * 8);
        guest.put(at, &start.to_le_bytes());
        guest.put(at + 4, &len.to_le_bytes());
    }
    let args = [W(one), W(1 << 20), W(400), W(0x40), W(0), W(0), W(OUT)];
    let sent = guest.raw("sendto", &args);
    assert!(
        [Errno::MSGSIZE, Errno::NOBUFS, Errno::INVAL]
            .map(Errno::raw)
            .contains(&sent.unwrap_err()),
        "{sent:?}"
    );
}
