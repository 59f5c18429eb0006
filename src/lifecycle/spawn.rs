//! Making the process inside: a clone in namespaces of its own, which executes this program again
//! from a copy that nobody can write, and waits to be told what to do.
//!
//! It is made as early as can be, since most of what it takes until it waits, new namespaces and
//! the start of a program, costs its creator no time.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sched::CloneFlags;
use oci_spec::runtime::LinuxIdMapping;
use rustix::process::{Pid, PidfdGetfdFlags, Signal, WaitOptions, pidfd_getfd};
use rustix::thread::{Gid, Uid};

use super::LifecycleError;
use crate::container::ProcessId;
use crate::failure::{Doing, Failure};
use crate::init;
use crate::init::channel::{Channel, Message};
use crate::init::request::{self, Handing, Request};
use crate::sandbox::namespaces;
use crate::sys::clone::{self, Cloned};
use crate::sys::{exec, fds, sched, signals};

/// Those that a process cannot make for itself: a pid namespace is for its children, and of a user
/// namespace its creator writes the mappings.
const BY_CLONE: u32 = (libc::CLONE_NEWPID | libc::CLONE_NEWUSER) as u32;

/// A pid namespace that is joined is for children.
const FOR_CHILDREN: u32 = libc::CLONE_NEWPID as u32;

/// What the clone needs.
pub struct Spawn<'a> {
    /// `CLONE_NEW*` of the namespaces to make at once.
    pub namespaces: u32,
    /// The pid namespace that it is to be in, where that is another's: by a file of it, or by a
    /// process in it.
    pub pid_namespace: Option<BorrowedFd<'a>>,
    /// Its v2 cgroup.
    pub cgroup_v2: Option<OwnedFd>,
    /// Mappings of a new user namespace.
    pub mappings: Option<(&'a [LinuxIdMapping], &'a [LinuxIdMapping])>,
    /// Which descriptors it inherits.
    pub preserved: &'a [RawFd],
    /// Whether it keeps its creator's supplementary groups in a user namespace of its own.
    pub keeps_groups: bool,
    /// What lists of processes show as its arguments.
    pub title: &'a [String],
}

/// The process inside, as its creator sees it. Killed when dropped, unless released.
pub struct Inside {
    /// Its name on the host.
    pub process: ProcessId,
    pidfd: OwnedFd,
    channel: Channel,
    /// Given back where this process only waits: the last to close it waits until the kernel has
    /// unmounted it everywhere, and that would else be the process inside.
    program: Option<OwnedFd>,
    released: bool,
}

/// Makes the process.
pub fn spawn(spawn: &Spawn<'_>) -> Result<Inside, LifecycleError> {
    let program = exec::read_only_self()?;
    let (channel, theirs) = Channel::pair()?;
    let doing = || "making the container's process";
    let home = spawn.pid_namespace.map(have_children_in).transpose()?;
    let cloned = clone::clone(
        (spawn.namespaces & BY_CLONE).into(),
        spawn.cgroup_v2.as_ref().map(AsFd::as_fd),
    );
    let made = match cloned {
        Ok(Cloned::Child) => become_inside(spawn, &theirs, &program),
        Ok(Cloned::Parent { pid, pidfd }) => Ok((pid, pidfd)),
        Err(error) => Err(error),
    };
    home.map(have_children_at_home).transpose()?;
    let (pid, pidfd) = made.doing(doing)?;
    // Each side notices the end of the other only with one end each.
    drop(theirs);
    let (process, processor) = ProcessId::of_child(pid).doing(doing)?;
    if let Some(processor) = processor {
        sched::step_aside(processor);
    }
    let inside = Inside {
        process,
        pidfd,
        channel,
        program: Some(program),
        released: false,
    };
    if let Some((uids, gids)) = spawn.mappings {
        namespaces::write_mappings(pid, uids, gids)?;
        inside.send(&Message::Mapped)?;
    }
    Ok(inside)
}

/// This process's children are in a pid namespace from now on. Returns its own.
fn have_children_in(namespace: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let own =
        File::open("/proc/self/ns/pid").doing(|| "opening the runtime's own pid namespace")?;
    namespaces::join(FOR_CHILDREN, namespace)?;
    Ok(own.into())
}

/// And are where it is itself again: the compiler and hooks are the host's. A rootless runtime has
/// no right to that, and its other children are in the container's.
fn have_children_at_home(own: OwnedFd) -> Result<(), Failure> {
    match namespaces::join(FOR_CHILDREN, own.as_fd()) {
        Err(error) if error.is(rustix::io::Errno::PERM) => Ok(()),
        joined => joined,
    }
}

/// In the child: from a copy of the creator to the process inside.
fn become_inside(spawn: &Spawn<'_>, channel: &Channel, program: &OwnedFd) -> ! {
    let Err(error) = try_become_inside(spawn, channel, program);
    let message = Message::Failed {
        message: error.to_string(),
        code: 1,
    };
    let _ = channel.send(&message);
    clone::exit_now(1)
}

fn try_become_inside(
    spawn: &Spawn<'_>,
    channel: &Channel,
    program: &OwnedFd,
) -> Result<std::convert::Infallible, Failure> {
    die_with_parent()?;
    signals::unblock_all().doing(|| "unblocking signals")?;
    rustix::process::setsid().doing(|| "making a session")?;
    let own = CloneFlags::from_bits_retain((spawn.namespaces & !BY_CLONE) as i32);
    nix::sched::unshare(own).doing(|| "making the container's namespaces")?;
    if spawn.mappings.is_some() {
        match channel.receive()? {
            Some(Message::Mapped) => {}
            _ => clone::exit_now(1),
        }
        let (uid, gid) = (Uid::ROOT, Gid::ROOT);
        let doing = || "becoming root of the user namespace";
        rustix::thread::set_thread_res_gid(gid, gid, gid).doing(doing)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).doing(doing)?;
        if !spawn.keeps_groups {
            rustix::thread::set_thread_groups(&[]).doing(doing)?;
        }
        die_with_parent()?;
    }
    let doing = || "choosing the descriptors that the container's process gets";
    fds::close_all_on_exec(3).doing(doing)?;
    fds::keep_on_exec(channel).doing(doing)?;
    for &number in spawn.preserved {
        // Taken over only to change its flag: it must stay open.
        let fd = fds::adopt(number, "a descriptor of --preserve-fds")?;
        fds::keep_on_exec(&fd).doing(doing)?;
        std::mem::forget(fd);
    }
    let (variable, title) = request::command_line(channel.as_fd().as_raw_fd(), spawn.title);
    let error = exec::execute(program, &title, &[variable]);
    Err(Failure::new(
        "executing the runtime inside the container",
        error,
    ))
}

fn die_with_parent() -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .doing(|| "asking to die with the creator")
}

impl Inside {
    /// Sends it a message.
    pub fn send(&self, message: &Message) -> Result<(), LifecycleError> {
        self.sent(self.channel.send(message))
    }

    /// Tells it what to do, with what is handed over for that now.
    pub fn request(&self, request: &Request, handing: &mut Handing) -> Result<(), LifecycleError> {
        let given = handing.take_given();
        self.sent(init::send_request(&self.channel, request, &given))
    }

    /// Hands over the rest: the container's cgroups are there.
    pub fn cgroups_are_made(&self, handing: Handing) -> Result<(), LifecycleError> {
        let later = handing.open_later()?;
        let fds: Vec<_> = later.iter().map(AsFd::as_fd).collect();
        self.sent(self.channel.send_descriptors(&fds))
    }

    fn sent(&self, sent: Result<(), Failure>) -> Result<(), LifecycleError> {
        match sent {
            // It has said why, or it died.
            Err(error) if error.is(rustix::io::Errno::PIPE) => Err(self.failure()?),
            sent => Ok(sent?),
        }
    }

    /// Waits for the message that comes next in order; a failure it reports is the error.
    pub fn expect(&mut self, expected: &Message) -> Result<(), LifecycleError> {
        match self.next()? {
            message if message == *expected => Ok(()),
            other => Err(out_of_order(&other)),
        }
    }

    /// Waits until it has loaded its filter, and takes the agent's descriptor over from it.
    pub fn listener(&mut self) -> Result<OwnedFd, LifecycleError> {
        match self.next()? {
            Message::Listener(fd) => {
                let taken = pidfd_getfd(&self.pidfd, fd, PidfdGetfdFlags::empty());
                Ok(taken.doing(|| "taking over the seccomp agent's descriptor")?)
            }
            other => Err(out_of_order(&other)),
        }
    }

    fn next(&mut self) -> Result<Message, LifecycleError> {
        self.program = None;
        match self.channel.receive()? {
            Some(Message::Failed { message, code }) => {
                Err(LifecycleError::Inside { message, code })
            }
            Some(message) => Ok(message),
            None => Err(self.died()),
        }
    }

    fn failure(&self) -> Result<LifecycleError, LifecycleError> {
        Ok(match self.channel.receive()? {
            Some(Message::Failed { message, code }) => LifecycleError::Inside { message, code },
            _ => self.died(),
        })
    }

    fn died(&self) -> LifecycleError {
        let how = Pid::from_raw(self.process.pid)
            .and_then(|pid| {
                rustix::process::waitpid(Some(pid), WaitOptions::empty())
                    .ok()
                    .flatten()
            })
            .map_or("unknown status".to_owned(), |(_, status)| {
                match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => format!("exit code {code}"),
                    (_, Some(signal)) => format!("signal {signal}"),
                    _ => "unknown status".to_owned(),
                }
            });
        LifecycleError::Died(how)
    }

    /// Lets it live on its own. Returns its pidfd.
    pub fn release(self) -> Result<OwnedFd, LifecycleError> {
        self.send(&Message::Commit)?;
        self.released()
    }

    /// The same for one that has been told so already.
    pub fn released(mut self) -> Result<OwnedFd, LifecycleError> {
        self.released = true;
        Ok(self
            .pidfd
            .try_clone()
            .doing(|| "keeping the container's process in view")?)
    }
}

fn out_of_order(message: &Message) -> LifecycleError {
    LifecycleError::Died(format!("it said {message:?} out of order"))
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        // Both fail only when it has gone already.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        if let Some(pid) = Pid::from_raw(self.process.pid) {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        }
    }
}
