//! Calls that wait: each ends when the process is killed.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use vkernel::kill::install_interrupt_handler;

use crate::calls::*;
use crate::support::{Arg, Arg::W, Calls, Ours, Side};

/// A guest in `call`, which must wait, is killed and must be gone.
fn ends_when_killed(
    prepare: impl FnOnce(&mut Ours) + Send + 'static,
    name: &'static str,
    args: &'static [Arg],
) {
    install_interrupt_handler().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let dir = tempfile::tempdir().unwrap();
        let mut guest = Ours::at(dir.path());
        guest.vectors(&[(DATA, 1 << 20)]);
        prepare(&mut guest);
        let kill = guest.state().kill.clone();
        let _here = kill.enter_thread();
        tell.send(kill.clone()).unwrap();
        guest.call(name, args)
    });
    let kill = told.recv().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(!thread.is_finished(), "{name} did not wait");
    let engine = wasmtime::Engine::default();
    kill.end(libc::SIGKILL);
    while !thread.is_finished() {
        kill.kick(&engine);
        std::thread::sleep(Duration::from_millis(1));
    }
    let end = thread.join().unwrap();
    assert_eq!(end, Err("killed by signal 9".into()), "{name}");
}

#[test]
fn accepting_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ends_when_killed(
        move |guest| guest.give(10, listener),
        "accept",
        &[W(10), W(0), W(0), W(0), W(OUT)],
    );
}

#[test]
fn receiving_ends() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    ends_when_killed(
        move |guest| guest.give(10, socket),
        "recvfrom",
        &[W(10), W(VECTORS), W(1), W(0), W(0), W(0), W(OUT)],
    );
}

#[test]
fn sending_ends() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ends_when_killed(
        move |guest| {
            ours.set_nonblocking(true).unwrap();
            while rustix::io::write(&ours, &[0; 4096]).is_ok() {}
            ours.set_nonblocking(false).unwrap();
            guest.give(10, ours);
        },
        "sendto",
        &[W(10), W(VECTORS), W(1), W(0), W(0), W(0), W(OUT)],
    );
    drop(theirs);
}

#[test]
fn connecting_ends() {
    // A local server whose queue is full.
    ends_when_killed(
        |guest| {
            let server = guest.socket(UNIX, STREAM).unwrap();
            guest.bind(server, &local("/server")).unwrap();
            guest.raw("listen", &[W(server), W(0)]).unwrap();
            let first = guest.socket(UNIX, STREAM).unwrap();
            guest.connect(first, &local("/server")).unwrap();
            while guest.state().fds.get(20).is_err() {
                guest.socket(UNIX, STREAM).unwrap();
            }
            guest.put(ADDRESS, &local("/server"));
        },
        "connect",
        &[W(20), W(ADDRESS), W(9)],
    );
}
