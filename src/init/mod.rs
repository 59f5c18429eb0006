//! The process inside the container: this program again, executed from a copy nobody can write.
//!
//! It builds the container around itself ([`build`]) or joins one ([`join`]), gives up every right
//! it does not need, reports to its creator, waits, and becomes the virtual kernel ([`guest`]) or,
//! where the node allows it, a native program ([`native`]).

pub mod build;
pub mod channel;
pub mod guest;
pub mod join;
pub mod native;
pub mod prepared;
pub mod request;
pub mod wait;

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use oci_spec::runtime::Process;
use rustix::process::{DumpableBehavior, Signal};
use thiserror::Error;

use crate::failure::{Doing, Failure};
use crate::sandbox::credentials::{self, Groups, Runs};
use crate::sandbox::hooks::HookError;
use crate::sandbox::labels::Labels;
use crate::sandbox::terminal;
use crate::seccomp::{self, Program, SeccompError};
use crate::sys::{fds, personality};
use channel::{Channel, Message};
use guest::GuestError;
use native::NativeError;
use prepared::Prepared;
use request::{Entry, Handed, Payload, Received, Request};

/// Why the process could not become the container's.
#[derive(Debug, Error)]
pub enum InitError {
    /// The request is not one of ours.
    #[error("reading the request: {0}; this mode is for megarun itself")]
    Request(String),
    /// Its creator died.
    #[error("the process that made the container died")]
    Orphaned,
    /// A hook failed.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// config.json's seccomp profile cannot be used.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// The program to run is not there, or not allowed.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The native program is not there, or not allowed.
    #[error(transparent)]
    Native(#[from] NativeError),
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

impl InitError {
    fn code(&self) -> u8 {
        match self {
            Self::Guest(error) => error.exit_code(),
            Self::Native(error) => error.exit_code(),
            _ => 1,
        }
    }
}

/// Runs as the process inside. Returns its exit code.
pub fn main(channel: &str) -> u8 {
    let channel = match open_channel(channel) {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("megarun init: {error}");
            return 1;
        }
    };
    match receive(&channel).and_then(|(request, received)| run(&channel, request, received)) {
        Ok(Ready { prepared, fifo }) => {
            // The creator is not this process's business any more.
            drop(channel);
            match wait::for_start(fifo.as_ref()) {
                Ok(()) => prepared.run(fifo),
                Err(code) => code,
            }
        }
        Err(error) => {
            let failed = Message::Failed {
                message: error.to_string(),
                code: error.code(),
            };
            // A creator that is gone needs no message.
            let _ = channel.send(&failed);
            error.code()
        }
    }
}

struct Ready {
    prepared: Prepared,
    fifo: Option<OwnedFd>,
}

fn run(channel: &Channel, request: Request, mut received: Received) -> Result<Ready, InitError> {
    let received = &mut received;
    let (entry, process) = (request.entry, request.process);
    let cgroups = Cgroups {
        channel,
        tasks: request.cgroups,
    };
    let runs = match process.payload {
        Payload::Native(_) => Runs::Native,
        Payload::Sandbox | Payload::Guest(_) => Runs::Guests,
    };
    let labels = Labels::open(&process.config, runs)?;
    // Everything below is done with the names the creator knows; nothing comes from the guest.
    let console = process
        .console
        .as_ref()
        .map(|fd| received.take(fd, "the console socket"))
        .transpose()?;
    let preserved = preserved(&process.preserved)?;
    let fifo = match entry {
        Entry::Build(build) => {
            let fifo = received.take(&build.fifo, "the fifo")?;
            build::build(
                channel,
                cgroups,
                *build,
                &process.config,
                console.as_ref(),
                received,
            )?;
            Some(fifo)
        }
        Entry::Join(join) => {
            cgroups.enter(received)?;
            join::join(&join, &process.config, console.as_ref(), received)?;
            None
        }
    };
    drop(console);
    enter_working_directory(&process.config)?;
    take_name(&process.config);
    let filter = process.filter.as_ref();
    let filter = filter.map(|filter| read_filter(filter, received));
    let filter = filter.transpose()?;
    if let Some(domain) = process.personality {
        personality::set(domain).doing(|| "setting linux.personality")?;
    }
    // Before the user changes: a process that has changed it may not read its own page map.
    let mut prepared = Prepared::new(process.payload, &process.config, preserved, received)?;
    let groups = match process.keeps_groups {
        true => Groups::Kept,
        false => Groups::Configured,
    };
    confine(
        channel,
        (&process.config, groups),
        labels,
        filter,
        &mut prepared,
    )?;
    // As the user who will run it: what that user may not read, it may not execute.
    prepared.check()?;
    wait::block_signals()?;
    // From here on its creator's death is told by the channel's end, until the container is on
    // record.
    rustix::process::set_parent_process_death_signal(None)
        .doing(|| "no longer dying with the creator")?;
    channel.send(&Message::Ready)?;
    expect(channel, &Message::Commit)?;
    Ok(Ready { prepared, fifo })
}

/// The container's cgroups, which are made while the process inside does what is no matter of
/// theirs.
pub struct Cgroups<'a> {
    channel: &'a Channel,
    tasks: Vec<Handed>,
}

impl Cgroups<'_> {
    /// Waits until they are there, and enters those that the clone did not.
    pub fn enter(self, received: &mut Received) -> Result<(), InitError> {
        let later = self.channel.receive_descriptors()?;
        received.followed(later.ok_or(InitError::Orphaned)?);
        for tasks in &self.tasks {
            let tasks = received.take(tasks, "a cgroup's tasks")?;
            rustix::io::write(&tasks, b"0").doing(|| "joining a cgroup")?;
        }
        Ok(())
    }
}

/// Lists of processes show the guest's program: its file's name, as after an exec.
fn take_name(process: &Process) {
    let program = process.args().as_deref().unwrap_or_default().first();
    let name = program.and_then(|program| program.rsplit('/').next());
    let name = name.and_then(|name| CString::new(name).ok());
    // The kernel cuts it; without one the runtime's own name stays.
    if let Some(name) = name {
        let _ = rustix::thread::set_name(&name);
    }
}

/// With the rights of the container's creator, as crun and runc: the user may be refused later.
fn enter_working_directory(process: &Process) -> Result<(), InitError> {
    let cwd = process.cwd();
    Ok(rustix::process::chdir(cwd)
        .doing(|| format!("changing to the working directory `{}`", cwd.display()))
        .map_err(GuestError::WorkingDirectory)?)
}

/// The kernel kills this process when its creator dies. Changing user undoes that.
fn die_with_creator(channel: &Channel) -> Result<(), InitError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .doing(|| "asking to die with the creator")?;
    // It may have died before that.
    if channel.is_closed() {
        Err(InitError::Orphaned)
    } else {
        Ok(())
    }
}

/// Gives up what config.json's process does not have, and puts up the filters.
fn confine(
    channel: &Channel,
    (process, groups): (&Process, Groups),
    labels: Labels,
    filter: Option<Program>,
    prepared: &mut Prepared,
) -> Result<(), InitError> {
    let load = |filter: &Option<Program>| match filter {
        Some(filter) => hand_listener(channel, seccomp::load(filter)?),
        None => Ok(()),
    };
    match prepared {
        Prepared::Native(native) if process.no_new_privileges() == Some(true) => {
            become_user(channel, process, groups, Runs::Native)?;
            labels.put_on()?;
            if filter.as_ref().is_some_and(Program::notifies) {
                // While the creator is there to tell the agent.
                load(&filter)?;
            } else {
                // What this program still does itself need not be in the profile.
                native.filter_at_the_end(filter);
            }
        }
        Prepared::Native(_) => {
            labels.put_on()?;
            // Needs a privilege that the user may not have.
            load(&filter)?;
            become_user(channel, process, groups, Runs::Native)?;
        }
        Prepared::Sandbox | Prepared::Guest(_) => {
            let wall = seccomp::wall::program(std::process::id())?;
            become_user(channel, process, groups, Runs::Guests)?;
            labels.put_on()?;
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
                .doing(|| "closing the process's memory to others")?;
            // The wall first: config.json's profile may forbid to load another.
            seccomp::load(&wall)?;
            load(&filter)?;
        }
    }
    Ok(())
}

/// Has the creator take the agent's descriptor over, and waits until the agent has it: any other
/// call may be one that the agent decides.
fn hand_listener(channel: &Channel, listener: Option<OwnedFd>) -> Result<(), InitError> {
    let Some(listener) = listener else {
        return Ok(());
    };
    channel.write(&Message::Listener(listener.as_raw_fd()))?;
    expect(channel, &Message::Told)
}

fn become_user(
    channel: &Channel,
    process: &Process,
    groups: Groups,
    runs: Runs,
) -> Result<(), InitError> {
    credentials::apply(process, groups, runs)?;
    die_with_creator(channel)
}

fn preserved(numbers: &[RawFd]) -> Result<Vec<OwnedFd>, Failure> {
    let adopt = |&fd: &RawFd| fds::adopt(fd, "a descriptor of --preserve-fds");
    numbers.iter().map(adopt).collect()
}

fn expect(channel: &Channel, expected: &Message) -> Result<(), InitError> {
    match channel.receive()? {
        Some(message) if message == *expected => Ok(()),
        _ => Err(InitError::Orphaned),
    }
}

/// Makes the terminal the process's own, where it has one.
fn adopt_terminal(slave: Option<&OwnedFd>) -> Result<(), Failure> {
    slave.map_or(Ok(()), terminal::adopt)
}

fn open_channel(number: &str) -> Result<Channel, InitError> {
    let number = number.parse().map_err(|error| wrong(&error))?;
    Ok(Channel::new(fds::adopt(number, "the channel")?))
}

fn wrong(reason: &dyn std::fmt::Display) -> InitError {
    InitError::Request(reason.to_string())
}

/// Waits for what to do, and for what it takes.
fn receive(channel: &Channel) -> Result<(Request, Received), InitError> {
    die_with_creator(channel)?;
    let received = channel.receive_descriptors()?;
    let mut fds = received.ok_or(InitError::Orphaned)?.into_iter();
    let request = fds.next().ok_or_else(|| wrong(&"it is not there"))?;
    // Only what this program made itself: a memory file that nobody can change any more.
    let seals = rustix::fs::fcntl_get_seals(request.as_fd()).map_err(|error| wrong(&error))?;
    if !seals.contains(rustix::fs::SealFlags::WRITE) {
        return Err(wrong(&"it is not sealed"));
    }
    let mut file = File::from(request);
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(|error| wrong(&error))?;
    let request = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
    Ok((request, Received::new(fds)))
}

fn read_filter(filter: &Handed, received: &mut Received) -> Result<Program, InitError> {
    let mut bytes = Vec::new();
    File::from(received.take(filter, "the seccomp filter")?)
        .read_to_end(&mut bytes)
        .doing(|| "reading the seccomp filter")?;
    Program::from_bytes(&bytes).ok_or_else(|| wrong(&"its seccomp filter is cut"))
}

/// Sends a request, with what is handed over.
pub fn send_request(
    channel: &Channel,
    request: &Request,
    given: &[OwnedFd],
) -> Result<(), Failure> {
    let bytes = serde_json::to_vec(request).expect("a request has no maps with keys that fail");
    let sealed = crate::bundle::sealed::seal("request", &bytes)?;
    let given = given.iter().map(AsFd::as_fd);
    let fds: Vec<_> = [sealed.as_fd()].into_iter().chain(given).collect();
    channel.send_descriptors(&fds)
}
