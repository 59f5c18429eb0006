//! The container's terminal: made inside, its master side handed to the engine.

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::Process;
use rustix::fs::OFlags;
use rustix::mount::OpenTreeFlags;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::mounts::attach;
use super::rootfs::Rootfs;
use crate::failure::{Doing, Failure};

/// Connects to the engine's `--console-socket`, from the host's side.
pub fn connect(socket: &Path) -> Result<OwnedFd, Failure> {
    let doing = || format!("connecting to the console socket `{}`", socket.display());
    let connection = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .doing(doing)?;
    let address = SocketAddrUnix::new(socket).doing(doing)?;
    rustix::net::connect(&connection, &address).doing(doing)?;
    Ok(connection)
}

/// Makes a terminal in the container's `devpts`, sends its master through `console`, and returns
/// the side for the process.
pub fn make(process: &Process, console: &OwnedFd, root: &Rootfs) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
    let master = root
        .open_as(Path::new("/dev/pts/ptmx"), flags)
        .doing(|| "opening `/dev/pts/ptmx`: process.terminal needs a devpts mount on /dev/pts")?;
    rustix::fs::fcntl_setfl(&master, OFlags::empty()).doing(|| "opening a terminal")?;
    rustix::pty::unlockpt(&master).doing(|| "unlocking the terminal")?;
    let slave = rustix::pty::ioctl_tiocgptpeer(
        &master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )
    .doing(|| "opening the terminal's other side")?;
    if let Some(size) = process.console_size() {
        let cells = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
        let size = Winsize {
            ws_row: cells(size.height()),
            ws_col: cells(size.width()),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&master, size).doing(|| "setting the terminal's size")?;
    }
    let owner = rustix::fs::Uid::from_raw(process.user().uid());
    rustix::fs::fchown(&slave, Some(owner), None).doing(|| "giving the terminal to its user")?;
    send(console, &master)?;
    Ok(slave)
}

/// Sends the master side as engines expect it: one descriptor with a name as its message.
fn send(console: &OwnedFd, master: &OwnedFd) -> Result<(), Failure> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [master.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let name = [IoSlice::new(b"/dev/ptmx")];
    rustix::net::sendmsg(console, &name, &mut control, SendFlags::NOSIGNAL)
        .doing(|| "sending the terminal through the console socket")?;
    Ok(())
}

/// Shows the terminal as `/dev/console` too.
pub fn bind_console(root: &Rootfs, slave: &OwnedFd) -> Result<(), Failure> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree =
        rustix::mount::open_tree(slave, c"", flags).doing(|| "copying the terminal's mount")?;
    let console = Path::new("/dev/console");
    attach::attach(&tree, &root.make_file(console)?, console)
}

/// Makes the terminal the process's own and its standard input, output and error.
pub fn adopt(slave: &OwnedFd) -> Result<(), Failure> {
    rustix::process::ioctl_tiocsctty(slave).doing(|| "making the terminal the process's own")?;
    rustix::stdio::dup2_stdin(slave)
        .and_then(|()| rustix::stdio::dup2_stdout(slave))
        .and_then(|()| rustix::stdio::dup2_stderr(slave))
        .doing(|| "making the terminal standard input, output and error")
}
