//! Local sockets, whose names are paths of the container.

use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use vkernel::errno::Errno;

use crate::calls::*;
use crate::support::{Calls, Ours};

fn guest() -> (tempfile::TempDir, Ours) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("run")).unwrap();
    let guest = Ours::at(dir.path());
    (dir, guest)
}

#[test]
fn a_name_is_a_path_in_the_root() {
    let (dir, mut guest) = guest();
    let server = guest.socket(UNIX, STREAM).unwrap();
    guest.bind(server, &local("/run/server")).unwrap();
    guest.listen(server).unwrap();
    let there = std::fs::symlink_metadata(dir.path().join("run/server")).unwrap();
    assert!(there.file_type().is_socket());
    // The umask holds.
    assert_eq!(there.permissions().mode() & 0o777, 0o755);
    assert_eq!(guest.own(server), Ok(told("/run/server")));
    assert_eq!(
        guest.bind(server, &local("/run/other")),
        Err(Errno::INVAL.raw())
    );

    // By links, absolute ones too, and from the working directory.
    symlink("/run", dir.path().join("var")).unwrap();
    guest.state().cwd = b"/run".to_vec();
    for name in ["/var/server", "server", "../../run/./server"] {
        let client = guest.socket(UNIX, STREAM).unwrap();
        guest.connect(client, &local(name)).unwrap();
        let (connection, peer) = guest.accept(server, 0).unwrap();
        assert_eq!(peer, [1, 0], "a client without a name");
        assert_eq!(guest.peer(client), Ok(told("/run/server")));
        assert_eq!(guest.own(connection), Ok(told("/run/server")));
        guest.send(client, b"hello").unwrap();
        assert_eq!(guest.receive(connection), Ok(b"hello".to_vec()));
        guest.close(client).unwrap();
        guest.close(connection).unwrap();
    }
    // The host reaches it by its own path, and is nobody by name.
    let host = UnixStream::connect(dir.path().join("run/server")).unwrap();
    assert_eq!(guest.accept(server, 0).unwrap().1, [1, 0]);
    drop(host);

    let second = guest.socket(UNIX, STREAM).unwrap();
    assert_eq!(
        guest.bind(second, &local("/run/server")),
        Err(Errno::ADDRINUSE.raw())
    );
    guest.close(server).unwrap();
    assert_eq!(
        guest.connect(second, &local("/run/server")),
        Err(Errno::CONNREFUSED.raw())
    );
    assert_eq!(
        guest.connect(second, &local("/run/none")),
        Err(Errno::NOENT.raw())
    );
    assert_eq!(
        guest.connect(second, &local("/run")),
        Err(Errno::CONNREFUSED.raw())
    );
}

#[test]
fn datagrams_are_answered_by_name() {
    let (_dir, mut guest) = guest();
    let server = guest.socket(UNIX, DATAGRAM).unwrap();
    guest.bind(server, &local("/run/server")).unwrap();
    let client = guest.socket(UNIX, DATAGRAM).unwrap();
    guest.bind(client, &local("run/client")).unwrap();
    guest
        .send_to(client, b"question", 0, &local("/run/server"))
        .unwrap();
    let (bytes, _, from) = guest.receive_from(server, 100, 0).unwrap();
    // As its maker named it, from the directory it was in.
    assert_eq!((&bytes[..], &from), (&b"question"[..], &told("run/client")));
    guest.send_to(server, b"answer", 0, &from).unwrap();
    let (bytes, _, from) = guest.receive_from(client, 100, 0).unwrap();
    assert_eq!((&bytes[..], from), (&b"answer"[..], told("/run/server")));
    // Two of the same name in different places are told apart.
    guest.close(server).unwrap();
    assert_eq!(
        guest.send_to(client, b"x", 0, &local("/run/server")),
        Err(Errno::CONNREFUSED.raw())
    );
}

#[test]
fn what_the_host_put_into_the_root_is_reached() {
    let (dir, mut guest) = guest();
    let _stream = UnixListener::bind(dir.path().join("run/stream")).unwrap();
    let client = guest.socket(UNIX, STREAM).unwrap();
    guest.connect(client, &local("/run/stream")).unwrap();
    let host = UnixDatagram::bind(dir.path().join("run/log")).unwrap();
    let client = guest.socket(UNIX, DATAGRAM).unwrap();
    guest
        .send_to(client, b"line", 0, &local("/run/log"))
        .unwrap();
    let mut got = [0; 10];
    assert_eq!(host.recv(&mut got).unwrap(), 4);
}

#[test]
fn pairs_are_connected() {
    let (_dir, mut guest) = guest();
    for kind in [STREAM, DATAGRAM, SEQPACKET] {
        let (one, other) = guest.pair(kind | CLOEXEC).unwrap();
        guest.send(one, b"there").unwrap();
        assert_eq!(guest.receive(other), Ok(b"there".to_vec()));
        guest.send(other, b"and back").unwrap();
        assert_eq!(guest.receive(one), Ok(b"and back".to_vec()));
        assert!(guest.state().fds.get(other).unwrap().closes_on_exec());
        guest.close(one).unwrap();
        guest.close(other).unwrap();
    }
}

#[test]
fn names_that_do_not_fit_are_refused() {
    let (_dir, mut guest) = guest();
    let long = format!("/run/{}", "x".repeat(95));
    let socket = guest.socket(UNIX, STREAM).unwrap();
    assert_eq!(
        guest.bind(socket, &local(&long)),
        Err(Errno::NAMETOOLONG.raw())
    );
    let fits = format!("/run/{}", "x".repeat(80));
    assert_eq!(guest.bind(socket, &local(&fits)), Ok(()));
    let longer = "x".repeat(200);
    assert_eq!(
        guest.connect(socket, &local(&longer)),
        Err(Errno::INVAL.raw())
    );
}
