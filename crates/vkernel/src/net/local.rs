//! Local sockets: their paths are the container's, found as every path is.
//!
//! The host's kernel takes a path and no descriptor. What resolution has found and judged is
//! therefore named to it as `/proc/self/fd/N`, which leads to that very object whatever happens to
//! the guest's path meanwhile. So the host knows a socket by a name that says nothing; [`Names`]
//! remembers which name the guest gave.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Result;
use super::address::HostAddress;
use crate::errno::Errno;
use crate::fs::resolve::{Base, Node};
use crate::fs::{Context, Vfs};

/// The names that guests gave to sockets, by those the host knows.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl Names {
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Vec<u8>>> {
        // Each operation is one of the map's own.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name a guest gave to what the host knows as `path`.
    #[must_use]
    pub fn guest_name(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.lock().get(path).cloned()
    }
}

/// A socket's name, for as long as the socket is open: the directory is kept open, so that no
/// other name of the host's is the same.
#[derive(Debug)]
pub struct Bound {
    names: Arc<Names>,
    host: Vec<u8>,
    _directory: OwnedFd,
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.names.lock().remove(&self.host);
    }
}

/// Where a socket is to be made: the address for the host's kernel, and what to keep of it.
pub struct Place {
    /// What to bind to.
    pub address: HostAddress,
    host: Vec<u8>,
    directory: OwnedFd,
}

impl Place {
    /// Remembers that the socket made here has this name for guests.
    #[must_use]
    pub fn bound(self, names: &Arc<Names>, guest: &[u8]) -> Bound {
        names.lock().insert(self.host.clone(), guest.to_vec());
        Bound {
            names: names.clone(),
            host: self.host,
            _directory: self.directory,
        }
    }
}

/// A socket that exists, for as long as the host's kernel has to find it.
pub struct Found {
    /// What to connect or send to.
    pub address: HostAddress,
    _socket: OwnedFd,
}

fn host_path(fd: impl AsFd) -> Vec<u8> {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()).into_bytes()
}

impl Vfs {
    /// The socket at `path`: `ECONNREFUSED` where something else is. Whether somebody listens, and
    /// whether this process may write to it, is for the host's kernel to say.
    pub fn socket_at(&self, ctx: &Context<'_>, path: &[u8]) -> Result<Found> {
        self.can_name_descriptors()?;
        match self.resolve(ctx, Base::Cwd, path, true)? {
            Node::Host(node) => Ok(Found {
                address: HostAddress::local(&host_path(&node.fd))?,
                _socket: node.fd,
            }),
            Node::Virtual(_) | Node::Descriptor(_) => Err(Errno::CONNREFUSED),
        }
    }

    /// Where a socket named `path` is to be made. `ENAMETOOLONG` for a last component that does not
    /// fit the host's structure beside what stands for its directory.
    pub fn new_socket_at(&self, ctx: &Context<'_>, path: &[u8]) -> Result<Place> {
        self.can_name_descriptors()?;
        let parent = self.resolve_parent(ctx, Base::Cwd, path)?;
        let host = [&host_path(&parent.dir)[..], b"/", parent.name.as_bytes()].concat();
        Ok(Place {
            address: HostAddress::local(&host)?,
            host,
            directory: parent.dir,
        })
    }
}
