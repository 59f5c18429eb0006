//! The socket between a creator and the process it made: whole messages, and the news that the
//! other side has died.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Deserialize, Serialize};

use crate::failure::{Doing, Failure};

/// What the two sides say, in the order in which they say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// To the child: its user namespace has its mappings.
    Mapped,
    /// To the creator: everything is mounted, the root not yet changed.
    Mounted,
    /// To the child: the hooks that run before the change have run.
    HooksDone,
    /// To the creator: the filter is loaded, and this is the number of the agent's descriptor.
    Listener(i32),
    /// To the child: the agent has it.
    Told,
    /// To the creator: nothing is left to do but to wait for `start`.
    Ready,
    /// To the child: the container is on record, it need no longer die with its creator.
    Commit,
    /// To the creator: it did not work.
    Failed {
        /// What did not.
        message: String,
        /// The exit code that says so: 126, 127 or 1.
        code: u8,
    },
}

/// Longest message; longer error texts are cut.
const MAX_MESSAGE: usize = 32 << 10;
/// The other side ended without reading all it was sent. Said once, and before what it said last,
/// which is then still there to be read.
const UNREAD: Errno = Errno::CONNRESET;
/// Most descriptors of one message; the kernel allows 253.
const DESCRIPTORS: usize = 200;

/// One end.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Channel {
    /// Both ends.
    pub fn pair() -> Result<(Self, Self), Failure> {
        let (a, b) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .doing(|| "making the channel to the container's process")?;
        Ok((Self(a), Self(b)))
    }

    /// The end with this descriptor.
    pub fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends a message; `EPIPE` when the other side is gone.
    pub fn send(&self, message: &Message) -> Result<(), Failure> {
        let cut = match message {
            Message::Failed { message, code } if message.len() > MAX_MESSAGE / 2 => {
                let end = message.floor_char_boundary(MAX_MESSAGE / 4);
                &Message::Failed {
                    message: format!("{}...", &message[..end]),
                    code: *code,
                }
            }
            message => message,
        };
        let bytes = serde_json::to_vec(cut).expect("a message has no maps and no failing parts");
        loop {
            match rustix::net::send(&self.0, &bytes, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR | UNREAD) => {}
                Err(error) => return Err(Failure::new("writing to the channel", error)),
            }
        }
    }

    /// Sends a message by write(2), which is the one call that no agent decides.
    pub fn write(&self, message: &Message) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(message).expect("a message has no maps");
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.0, &bytes));
        written.map(drop).doing(|| "writing to the channel")
    }

    /// Sends descriptors, as many messages as that takes.
    pub fn send_descriptors(&self, fds: &[BorrowedFd<'_>]) -> Result<(), Failure> {
        let mut rest = fds;
        loop {
            let (chunk, after) = rest.split_at(rest.len().min(DESCRIPTORS));
            rest = after;
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !chunk.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(chunk));
            }
            let more = [u8::from(!rest.is_empty())];
            let parts = [IoSlice::new(&more)];
            loop {
                match rustix::net::sendmsg(&self.0, &parts, &mut control, SendFlags::NOSIGNAL) {
                    Ok(_) => break,
                    Err(Errno::INTR | UNREAD) => {}
                    Err(error) => return Err(Failure::new("handing over descriptors", error)),
                }
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// All that the other side hands over; none when it is gone.
    pub fn receive_descriptors(&self) -> Result<Option<Vec<OwnedFd>>, Failure> {
        let mut received = Vec::new();
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut more = [0];
            let message = loop {
                let mut parts = [IoSliceMut::new(&mut more)];
                let flags = RecvFlags::CMSG_CLOEXEC;
                match rustix::net::recvmsg(&self.0, &mut parts, &mut control, flags) {
                    Ok(message) => break message,
                    Err(Errno::INTR | UNREAD) => {}
                    Err(error) => return Err(Failure::new("taking over descriptors", error)),
                }
            };
            if message.bytes == 0 {
                return Ok(None);
            }
            if message.flags.contains(ReturnFlags::CTRUNC) {
                // What this process may have open ended before the list did.
                return Err(Failure::new("taking over descriptors", Errno::MFILE));
            }
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = message {
                    received.extend(fds);
                }
            }
            if more == [0] {
                return Ok(Some(received));
            }
        }
    }

    /// The next message; none when the other side is gone.
    pub fn receive(&self) -> Result<Option<Message>, Failure> {
        // Not filled with zeros first: most messages are short, and that would take eight pages.
        let mut buffer = Vec::with_capacity(MAX_MESSAGE);
        let length = loop {
            let free = rustix::buffer::spare_capacity(&mut buffer);
            match rustix::net::recv(&self.0, free, RecvFlags::empty()) {
                Ok((length, _)) => break length,
                Err(Errno::INTR | UNREAD) => {}
                Err(error) => return Err(Failure::new("reading from the channel", error)),
            }
        };
        if length == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&buffer)
            .map(Some)
            .map_err(|_| Failure::new("understanding the channel", Errno::PROTO))
    }

    /// Whether the other side has closed its end.
    pub fn is_closed(&self) -> bool {
        let mut poll = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::empty())];
        let now = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        rustix::event::poll(&mut poll, Some(&now)).is_ok()
            && poll[0].revents().contains(PollFlags::HUP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_and_in_order_and_the_end_is_noticed() {
        let (a, b) = Channel::pair().unwrap();
        let failed = Message::Failed {
            message: "x\n\"y\"".into(),
            code: 127,
        };
        for message in [Message::Mapped, Message::Ready, failed] {
            a.send(&message).unwrap();
            assert_eq!(b.receive().unwrap(), Some(message));
        }
        assert!(!b.is_closed());
        drop(a);
        assert!(b.is_closed());
        assert_eq!(b.receive().unwrap(), None);
        assert!(b.send(&Message::Ready).unwrap_err().is(Errno::PIPE));
    }

    #[test]
    fn the_last_words_of_one_that_did_not_listen_are_heard() {
        let failed = Message::Failed {
            message: "no".into(),
            code: 1,
        };
        let dying = || {
            let (a, b) = Channel::pair().unwrap();
            a.send(&Message::Mapped).unwrap();
            b.send(&failed).unwrap();
            a
        };
        let a = dying();
        assert_eq!(a.receive().unwrap().as_ref(), Some(&failed));
        assert_eq!(a.receive().unwrap(), None);
        // Whoever finds out by writing.
        let a = dying();
        assert!(a.send(&Message::HooksDone).unwrap_err().is(Errno::PIPE));
        assert_eq!(a.receive().unwrap().as_ref(), Some(&failed));
        let a = dying();
        assert!(a.send_descriptors(&[]).unwrap_err().is(Errno::PIPE));
        assert_eq!(a.receive().unwrap().as_ref(), Some(&failed));
    }

    #[test]
    fn descriptors_arrive_in_order_however_many() {
        let (a, b) = Channel::pair().unwrap();
        let files: Vec<_> = (0..DESCRIPTORS + 3)
            .map(|_| tempfile::tempfile().unwrap())
            .collect();
        let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        a.send_descriptors(&fds).unwrap();
        let inode = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).unwrap().st_ino;
        let received = b.receive_descriptors().unwrap().unwrap();
        let arrived: Vec<_> = received.iter().map(|fd| inode(fd.as_fd())).collect();
        assert_eq!(arrived, fds.iter().map(|fd| inode(*fd)).collect::<Vec<_>>());
        a.send_descriptors(&[]).unwrap();
        assert!(b.receive_descriptors().unwrap().unwrap().is_empty());
        drop(a);
        assert!(b.receive_descriptors().unwrap().is_none());
    }

    #[test]
    fn an_endless_error_text_is_cut_between_characters() {
        let (a, b) = Channel::pair().unwrap();
        a.send(&Message::Failed {
            message: "ä".repeat(MAX_MESSAGE),
            code: 1,
        })
        .unwrap();
        let Some(Message::Failed { message, code: 1 }) = b.receive().unwrap() else {
            panic!()
        };
        assert!(message.ends_with("..."));
    }
}
