//! Streams of exec, attach and port-forward: the WebSocket protocol (RFC 6455) as far as a client of
//! Kubernetes needs it, whose binary messages begin with the number of a channel.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::Duration;

use integration_tests::engines::Room;
use rustix::thread::LinkNameSpaceType;

/// Standard input, and the only channel to send on but [`RESIZE`].
pub const STDIN: u8 = 0;
/// Standard output.
pub const STDOUT: u8 = 1;
/// Standard error.
pub const STDERR: u8 = 2;
/// How it ended: a status of Kubernetes as JSON.
pub const STATUS: u8 = 3;
/// The terminal's size as JSON.
pub const RESIZE: u8 = 4;

/// Text and binary messages, a close and a ping.
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// An open stream.
pub struct Stream {
    reader: BufReader<TcpStream>,
}

impl Stream {
    /// Opens the stream that containerd offers at `url`, in the room's network.
    ///
    /// # Panics
    ///
    /// When it refuses.
    pub fn open(room: &Room, url: &str) -> Self {
        let rest = url.strip_prefix("http://").expect("a stream over HTTP");
        let (address, path) = rest.split_once('/').expect("a stream has a path");
        let socket = connect(room, address);
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a socket of our own");
        let mut stream = Self {
            reader: BufReader::new(socket),
        };
        // The key is a nonce that only proxies need.
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: bWVnYXJ1biB0ZXN0IGtleQ==\r\n\
             Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
        );
        stream.write(request.as_bytes());
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            let length = stream
                .reader
                .read_line(&mut line)
                .expect("reading the answer");
            if length == 0 || line == "\r\n" {
                break;
            }
            head.push(line);
        }
        let accepted = head.first().is_some_and(|line| line.contains(" 101 "));
        assert!(accepted, "{url}: {head:?}");
        stream
    }

    fn write(&mut self, bytes: &[u8]) {
        self.reader
            .get_mut()
            .write_all(bytes)
            .expect("writing to containerd");
    }

    /// Sends `data` on a channel.
    ///
    /// # Panics
    ///
    /// When the other side is gone.
    pub fn send(&mut self, channel: u8, data: &[u8]) {
        let length = u16::try_from(data.len() + 1).expect("a short message");
        let mut frame = vec![0x80 | BINARY];
        match length {
            0..126 => frame.push(0x80 | length as u8),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        // A client masks what it sends; a mask of zeros changes nothing.
        frame.extend([0; 4]);
        frame.push(channel);
        frame.extend(data);
        self.write(&frame);
    }

    /// The next message and its channel; none at the end.
    ///
    /// # Panics
    ///
    /// When nothing comes for long.
    pub fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            let (kind, data) = self.frame()?;
            match kind {
                CLOSE => return None,
                PING => {}
                TEXT | BINARY => {
                    let (channel, data) = data.split_first()?;
                    return Some((*channel, data.to_vec()));
                }
                kind => panic!("a frame of kind {kind}"),
            }
        }
    }

    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        match self.reader.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came through the stream")
            }
            Err(_) => return None,
        }
        assert_eq!(head[0] & 0x80, 0x80, "a message in parts");
        let mut length = u64::from(head[1] & 0x7f);
        if length >= 126 {
            let mut bytes = [0; 8];
            let size = if length == 126 { 2 } else { 8 };
            self.reader.read_exact(&mut bytes[8 - size..]).ok()?;
            length = u64::from_be_bytes(bytes);
        }
        let mut data = vec![0; usize::try_from(length).ok()?];
        self.reader.read_exact(&mut data).ok()?;
        Some((head[0] & 0x0f, data))
    }

    /// Reads until what came on `channel` contains `text`. Returns all of it.
    ///
    /// # Panics
    ///
    /// When the stream ends before.
    #[track_caller]
    pub fn read_until(&mut self, channel: u8, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            let (from, data) = self
                .receive()
                .unwrap_or_else(|| panic!("the stream ended after {all:?}"));
            if from == channel {
                all += &String::from_utf8_lossy(&data);
            }
        }
        all
    }

    /// Everything to the end: standard output, standard error, status.
    pub fn finish(mut self) -> (String, String, String) {
        let mut all = [Vec::new(), Vec::new(), Vec::new()];
        while let Some((channel, data)) = self.receive() {
            if let Some(kept) = all.get_mut(usize::from(channel).wrapping_sub(1)) {
                kept.extend(data);
            }
        }
        let [out, err, status] = all.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (out, err, status)
    }
}

/// A connection from inside the room. A thread that enters another network stays there, so it is
/// one of its own.
fn connect(room: &Room, address: &str) -> TcpStream {
    let network = File::open(room.namespace("net")).expect("the room has a network");
    let address = address.to_owned();
    let inside = std::thread::spawn(move || {
        rustix::thread::move_into_link_name_space(
            network.as_fd(),
            Some(LinkNameSpaceType::Network),
        )
        .expect("entering the room's network");
        TcpStream::connect(address).expect("connecting to containerd")
    });
    inside.join().expect("a connection")
}
