//! `networking` of the manifest, and the names that permit.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use megabinary::capability::HostCall;
use vkernel::errno::Errno;
use vkernel::plan::NetworkPolicy;

use crate::calls::*;
use crate::support::{Arg::W, Calls, Ours};

const ACCES: u16 = 2;

fn guest(policy: NetworkPolicy) -> (tempfile::TempDir, Ours) {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Ours::at(dir.path());
    guest.state().networking = policy;
    (dir, guest)
}

#[test]
fn none_is_nothing_at_all() {
    let (_dir, mut guest) = guest(NetworkPolicy::None);
    // Standard streams may be sockets: they are read and written, and nothing else.
    let (ours, _theirs) = UnixStream::pair().unwrap();
    guest.give(0, ours);
    assert_eq!(guest.socket(INET, STREAM), Err(ACCES));
    assert_eq!(guest.socket(16, 3), Err(ACCES));
    assert_eq!(guest.pair(STREAM), Err(ACCES));
    assert_eq!(guest.bind(0, &local("/x")), Err(ACCES));
    assert_eq!(guest.connect(0, &inet([127, 0, 0, 1], 1)), Err(ACCES));
    assert_eq!(guest.listen(0), Err(ACCES));
    assert_eq!(guest.accept(0, 0).err(), Some(ACCES));
    assert_eq!(guest.own(0), Err(ACCES));
    assert_eq!(guest.peer(0), Err(ACCES));
    assert_eq!(guest.option(0, 1, 3), Err(ACCES));
    assert_eq!(guest.set_option(0, 1, 2, &[0; 4]), Err(ACCES));
    assert_eq!(guest.send(0, b"x"), Err(ACCES));
    assert_eq!(guest.receive(0), Err(ACCES));
    assert_eq!(guest.write(0, b"x"), Ok(1));
    assert_eq!(guest.state().denials, 13);
}

#[test]
fn restricted_uses_what_was_handed_in() {
    let (dir, mut guest) = guest(NetworkPolicy::Restricted);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    guest.give(10, listener);
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(guest.listen(10), Ok(()), "it listens already");
    let (connection, peer) = guest.accept(10, 0).unwrap();
    assert_eq!(guest.send(connection, b"hello"), Ok(5));
    assert_eq!(guest.peer(connection), Ok(peer));
    assert_eq!(port_of(&guest.own(10).unwrap()), port);
    assert_eq!(guest.set_option(connection, 6, 1, &[1, 0, 0, 0]), Ok(()));

    assert_eq!(guest.socket(INET, STREAM), Err(ACCES));
    assert_eq!(guest.pair(STREAM), Err(ACCES));
    assert_eq!(
        guest.connect(connection, &inet([127, 0, 0, 1], port)),
        Err(ACCES)
    );
    assert_eq!(guest.bind(connection, &inet([127, 0, 0, 1], 0)), Err(ACCES));

    // A socket that does not listen must not begin to: its port would be one nobody handed in.
    let bare = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    guest.give(11, bare);
    assert_eq!(guest.listen(11), Err(ACCES));

    // Answers go back; other local sockets cannot be named.
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let handed = UdpSocket::bind("127.0.0.1:0").unwrap();
    other
        .send_to(b"question", handed.local_addr().unwrap())
        .unwrap();
    guest.give(12, handed);
    let (_, _, from) = guest.receive_from(12, 100, 0).unwrap();
    assert_eq!(guest.send_to(12, b"answer", 0, &from), Ok(6));
    let _log = UnixDatagram::bind(dir.path().join("log")).unwrap();
    guest.give(13, UnixDatagram::unbound().unwrap());
    assert_eq!(guest.send_to(13, b"x", 0, &local("/log")), Err(ACCES));
}

#[test]
fn without_the_name_there_is_no_call() {
    let dir = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(dir.path().join("s")).unwrap();
    for (call, name, args) in [
        (
            HostCall::VkSocket,
            "socket",
            &[W(1), W(1), W(0), W(OUT)][..],
        ),
        (HostCall::VkBind, "bind", &[W(1), W(0), W(0)]),
        (HostCall::VkConnect, "connect", &[W(1), W(0), W(0)]),
        (HostCall::VkListen, "listen", &[W(1), W(0)]),
        (
            HostCall::VkAccept,
            "accept",
            &[W(1), W(0), W(0), W(0), W(OUT)],
        ),
        (
            HostCall::VkSocketpair,
            "socketpair",
            &[W(1), W(1), W(0), W(OUT)],
        ),
    ] {
        let mut guest = Ours::at(dir.path());
        let mut rights = guest.state().rights;
        rights = rights.difference(vkernel::rights::HostCallSet::of(call));
        guest.state().rights = rights;
        assert_eq!(
            guest.raw(name, args),
            Err(Errno::NOTCAPABLE.raw()),
            "{name}"
        );
    }
}
