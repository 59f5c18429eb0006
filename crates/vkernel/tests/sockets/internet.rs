//! TCP and UDP over the loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use vkernel::errno::Errno;

use crate::calls::*;
use crate::support::{Arg::W, Calls, Ours};

fn guest() -> (tempfile::TempDir, Ours) {
    let dir = tempfile::tempdir().unwrap();
    let guest = Ours::at(dir.path());
    (dir, guest)
}

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

#[test]
fn a_server_serves() {
    let (_dir, mut guest) = guest();
    let server = guest.socket(INET, STREAM).unwrap();
    guest.set_option(server, 1, 2, &1u32.to_le_bytes()).unwrap();
    guest.bind(server, &inet(LOOPBACK, 0)).unwrap();
    guest.listen(server).unwrap();
    let name = guest.own(server).unwrap();
    assert_eq!(
        (name.len(), &name[..2], &name[4..8]),
        (16, &[2, 0][..], &LOOPBACK[..])
    );
    let mut client = TcpStream::connect(("127.0.0.1", port_of(&name))).unwrap();
    let (connection, peer) = guest.accept(server, CLOEXEC).unwrap();
    assert_eq!(port_of(&peer), client.local_addr().unwrap().port());
    assert_eq!(guest.peer(connection), Ok(peer));
    client.write_all(b"question").unwrap();
    assert_eq!(guest.receive(connection), Ok(b"question".to_vec()));
    // A descriptor like any other.
    assert_eq!(guest.write(connection, b"answer"), Ok(6));
    guest.raw("sock_shutdown", &[W(connection), W(2)]).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"answer");
    assert!(guest.state().fds.get(connection).unwrap().closes_on_exec());
    assert!(!guest.state().fds.get(server).unwrap().closes_on_exec());
}

#[test]
fn a_client_is_served_over_both_protocols() {
    for (listener, family) in [
        (TcpListener::bind("127.0.0.1:0").unwrap(), INET),
        (TcpListener::bind("[::1]:0").unwrap(), INET6),
    ] {
        let (_dir, mut guest) = guest();
        let port = listener.local_addr().unwrap().port();
        let client = guest.socket(family, STREAM).unwrap();
        let address = match family {
            INET => inet(LOOPBACK, port),
            _ => inet6_loopback(port),
        };
        guest.connect(client, &address).unwrap();
        let (mut connection, _) = listener.accept().unwrap();
        assert_eq!(guest.send(client, b"ping"), Ok(4));
        let mut got = [0; 4];
        connection.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"ping");
        assert_eq!(guest.peer(client), Ok(address));
        drop(connection);
        assert_eq!(guest.receive(client), Ok(vec![]));
    }
}

#[test]
fn datagrams_come_with_their_senders() {
    let (_dir, mut guest) = guest();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let socket = guest.socket(INET, DATAGRAM).unwrap();
    assert_eq!(
        guest.send_to(socket, b"ping", 0, &inet(LOOPBACK, port)),
        Ok(4)
    );
    let mut got = [0; 10];
    let (len, from) = other.recv_from(&mut got).unwrap();
    assert_eq!(&got[..len], b"ping");
    other.send_to(b"long answer", from).unwrap();
    other.send_to(b"second", from).unwrap();
    let sender = inet(LOOPBACK, port);
    // Left there, with its whole length; then cut.
    let (peek, truncate) = (2, 0x20);
    let (bytes, flags, from) = guest.receive_from(socket, 4, peek | truncate).unwrap();
    assert_eq!(
        (&bytes[..], flags, from),
        (&b"long"[..], truncate, sender.clone())
    );
    let (bytes, flags, _) = guest.receive_from(socket, 4, 0).unwrap();
    assert_eq!((&bytes[..], flags), (&b"long"[..], truncate));
    assert_eq!(
        guest.receive_from(socket, 10, 0),
        Ok((b"second".to_vec(), 0, sender.clone()))
    );
    // Connected, and not any more.
    guest.connect(socket, &sender).unwrap();
    assert_eq!(guest.send(socket, b"x"), Ok(1));
    guest.connect(socket, &[0, 0]).unwrap();
    assert_eq!(guest.send(socket, b"x"), Err(Errno::DESTADDRREQ.raw()));
    assert_eq!(guest.receive_from(socket, 1, 0x40), Err(Errno::AGAIN.raw()));
}

#[test]
fn a_connection_that_is_not_waited_for_is_polled() {
    let (_dir, mut guest) = guest();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = guest.socket(INET, STREAM | NONBLOCK).unwrap();
    let pending = guest.connect(client, &inet(LOOPBACK, port));
    assert!(matches!(pending, Ok(()) | Err(26)), "{pending:?}");
    let mut list = [0u8; 48];
    list[8] = 2;
    list[16] = client as u8;
    guest.put(1024, &list);
    guest
        .raw("poll_oneoff", &[W(1024), W(2048), W(1), W(OUT)])
        .unwrap();
    assert_eq!(guest.option(client, 1, 4), Ok(vec![0; 4]));
    assert_eq!(guest.receive_from(client, 1, 0), Err(Errno::AGAIN.raw()));
    // Nobody listens: the error is told by its number of preview 1.
    drop(listener);
    let client = guest.socket(INET, STREAM | NONBLOCK).unwrap();
    let refused = guest.connect(client, &inet(LOOPBACK, port));
    if refused == Err(Errno::INPROGRESS.raw()) {
        guest.put(1024 + 16, &client.to_le_bytes());
        guest
            .raw("poll_oneoff", &[W(1024), W(2048), W(1), W(OUT)])
            .unwrap();
        let told = u32::from(Errno::CONNREFUSED.raw()).to_le_bytes();
        assert_eq!(guest.option(client, 1, 4), Ok(told.to_vec()));
    } else {
        assert_eq!(refused, Err(Errno::CONNREFUSED.raw()));
    }
}

#[test]
fn options_are_asked_and_set() {
    let (_dir, mut guest) = guest();
    let socket = guest.socket(INET, STREAM).unwrap();
    let number = |value: u32| Ok(value.to_le_bytes().to_vec());
    assert_eq!(guest.option(socket, 1, 3), number(STREAM));
    assert_eq!(guest.option(socket, 1, 39), number(INET));
    assert_eq!(guest.option(socket, 1, 38), number(6));
    assert_eq!(guest.option(socket, 1, 30), number(0));
    assert_eq!(guest.set_option(socket, 6, 1, &1u32.to_le_bytes()), Ok(()));
    assert_eq!(guest.option(socket, 6, 1), number(1));
    // What is longer counts as far as the option goes.
    assert_eq!(guest.set_option(socket, 6, 1, &[0; 30]), Ok(()));
    assert_eq!(guest.option(socket, 6, 1), number(0));
    let time = [2u64.to_le_bytes(), 500_000u64.to_le_bytes()].concat();
    assert_eq!(guest.set_option(socket, 1, 20, &time), Ok(()));
    assert_eq!(guest.option(socket, 1, 20), Ok(time));
    guest.room(2);
    guest
        .raw("getsockopt", &[W(socket), W(1), W(3), W(VALUE), W(LEN)])
        .unwrap();
    assert_eq!(guest.get(LEN, 4), 2u32.to_le_bytes());
    assert_eq!(
        guest.set_option(socket, 1, 20, &[0; 15]),
        Err(Errno::INVAL.raw())
    );
}

#[test]
fn a_receive_with_a_time_limit_ends_by_itself() {
    let (_dir, mut guest) = guest();
    let socket = guest.socket(INET, DATAGRAM).unwrap();
    guest.bind(socket, &inet(LOOPBACK, 0)).unwrap();
    let time = [0u64.to_le_bytes(), 10_000u64.to_le_bytes()].concat();
    guest.set_option(socket, 1, 20, &time).unwrap();
    assert_eq!(guest.receive(socket), Err(Errno::AGAIN.raw()));
}
