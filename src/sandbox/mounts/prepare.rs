//! Opening what the container gets from the host, before the child exists.
//!
//! The parent has the host's rights and mount namespace, so a source that a user namespace's root
//! could not reach, or that a copied mount namespace would lock, opens all the same; and the child
//! never looks anything up outside its root file system.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;
use rustix::fs::{CWD, FileType};
use rustix::mount::OpenTreeFlags;

use super::idmap::{self, Mappings};
use super::ids;
use super::options::{self, Options};
use super::{Filesystem, MountError, Source, Step};
use crate::failure::{Doing, Failure};
use crate::init::request::Handing;
use crate::sandbox::cgroup::CgroupPaths;
use crate::sys::mount_attr::{self, Attr};

/// Reads and opens every mount of config.json, in its order.
pub fn steps(
    mounts: &[Mount],
    bundle: &Path,
    cgroup: &CgroupPaths,
    container: Mappings<'_>,
    label: Option<&str>,
    handing: &mut Handing,
) -> Result<Vec<Step>, MountError> {
    let step = |(index, mount): (usize, &Mount)| {
        let wrong = |reason: String| MountError::Config {
            index,
            destination: mount.destination().display().to_string(),
            reason,
        };
        let kind = mount.typ().as_deref().unwrap_or_default();
        let mut options =
            options::parse(kind, mount.options().as_deref().unwrap_or_default()).map_err(wrong)?;
        let mappings = mappings(mount, container);
        // Mappings of the mount itself come before those in its options.
        let own = match options.ids.take() {
            Some(ids) if !mappings.1 => Some(ids::parse(&ids, container).map_err(wrong)?),
            _ => None,
        };
        let mapped = options.idmap.or(mappings.1.then_some(false));
        let mappings = match &own {
            Some((uids, gids)) => Mappings { uids, gids },
            None => mappings.0,
        };
        if mapped.is_some() && (options.bind.is_none() || mappings.is_empty()) {
            return Err(wrong(
                "mapped ids need a bind mount, and uidMappings and gidMappings of its own or of \
                 the container"
                    .into(),
            ));
        }
        let destination = options::destination(mount.destination()).map_err(wrong)?;
        let source = match (options.bind, kind) {
            (Some(recursive), _) => {
                let path = mount
                    .source()
                    .as_ref()
                    .ok_or_else(|| wrong("has no source".into()))?;
                let tree = bind(&bundle.join(path), recursive, &options)?;
                if let Some(whole) = mapped {
                    idmap::apply(&tree, mappings, whole, path)?;
                }
                let directory =
                    is_directory(&tree).doing(|| format!("reading `{}`", path.display()))?;
                Source::Tree {
                    tree: handing.give(tree),
                    directory,
                }
            }
            (None, "cgroup" | "cgroup2") => self::cgroup(cgroup, &options, handing),
            (None, "") => return Err(wrong("has neither a type nor the option bind".into())),
            (None, kind) => Source::Filesystem(Filesystem {
                kind: kind.to_owned(),
                source: mount
                    .source()
                    .as_ref()
                    .map_or_else(|| kind.to_owned(), |source| source.display().to_string()),
                data: labelled(std::mem::take(&mut options.data), kind, label),
                attributes: options.attr.set | options.tree_attr.set,
                propagation: options.propagation.map_or(0, |(flag, _)| flag),
                copy_up: options.copy_up,
            }),
        };
        Ok(Step {
            destination,
            source,
        })
    };
    mounts.iter().enumerate().map(step).collect()
}

/// Data of a file system, with the container's SELinux label where its files have no labels of their own.
fn labelled(
    mut data: Vec<(String, Option<String>)>,
    kind: &str,
    label: Option<&str>,
) -> Vec<(String, Option<String>)> {
    let own = |(key, _): &(String, Option<String>)| key.ends_with("context");
    if let (Some(label), "tmpfs" | "devpts" | "ramfs") = (label, kind)
        && !data.iter().any(own)
    {
        data.push(("context".to_owned(), Some(label.to_owned())));
    }
    data
}

/// The mappings for a mount: its own, which alone ask for mapped ids, or the container's.
fn mappings<'a>(mount: &'a Mount, container: Mappings<'a>) -> (Mappings<'a>, bool) {
    match (mount.uid_mappings(), mount.gid_mappings()) {
        (None, None) => (container, false),
        (uids, gids) => {
            let uids = uids.as_deref().unwrap_or_default();
            let gids = gids.as_deref().unwrap_or_default();
            (Mappings { uids, gids }, true)
        }
    }
}

/// A detached copy of a file or directory of the host, with attributes and propagation set.
fn bind(path: &Path, recursive: bool, options: &Options) -> Result<OwnedFd, Failure> {
    let tree = clone_tree(path, recursive)?;
    // Nothing leaks back to the host, and nothing new of the host shows up, unless asked for.
    let (propagation, whole) = options.propagation.unwrap_or((libc::MS_PRIVATE, true));
    let propagation = Attr {
        propagation,
        recursive: whole,
        ..Attr::default()
    };
    for attr in [&options.attr, &options.tree_attr, &propagation] {
        mount_attr::set(tree.as_fd(), attr)
            .doing(|| format!("setting mount options of `{}`", path.display()))?;
    }
    Ok(tree)
}

/// A detached copy of the tree at `path`, as it is on the host.
pub fn clone_tree(path: &Path, recursive: bool) -> Result<OwnedFd, Failure> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(CWD, path, flags)
        .doing(|| format!("opening mount source `{}`", path.display()))
}

fn is_directory(tree: &OwnedFd) -> Result<bool, rustix::io::Errno> {
    let stat = rustix::fs::fstat(tree)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// The container's view of its own cgroups: binds of its directories, so that it is the same with
/// and without a cgroup namespace.
fn cgroup(paths: &CgroupPaths, options: &Options, handing: &mut Handing) -> Source {
    let attributes = options.attr.set | options.tree_attr.set;
    let private = Options {
        attr: Attr {
            set: attributes,
            ..Attr::default()
        },
        ..Options::default()
    };
    // They need not be there yet.
    let mut tree = |path: &PathBuf| {
        let (path, private) = (path.clone(), private.clone());
        handing.give_later(move || bind(&path, false, &private))
    };
    if let (true, Some(path)) = (paths.v1.is_empty(), &paths.v2) {
        return Source::Tree {
            tree: tree(path),
            directory: true,
        };
    }
    let unified = paths.v2.as_ref().map(|path| ("unified".to_owned(), path));
    let hierarchies = paths
        .v1
        .iter()
        .map(|at| (at.name.clone(), &at.path))
        .chain(unified)
        .map(|(name, path)| (name, tree(path)))
        .collect();
    Source::CgroupV1 {
        hierarchies,
        attributes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_goes_to_file_systems_whose_files_have_none_of_their_own() {
        let data = |label| vec![("mode".to_owned(), Some("755".to_owned())), label];
        let label = ("context".to_owned(), Some("a:b".to_owned()));
        let (bare, with) = (data(("ro".to_owned(), None)), Some("a:b"));
        for kind in ["tmpfs", "devpts"] {
            assert_eq!(labelled(bare.clone(), kind, with).last(), Some(&label));
            assert_eq!(labelled(bare.clone(), kind, None), bare);
        }
        for kind in ["proc", "sysfs", "mqueue", "cgroup2"] {
            assert_eq!(labelled(bare.clone(), kind, with), bare);
        }
        // What config.json says itself stays.
        let own = data(("rootcontext".to_owned(), Some("c:d".to_owned())));
        assert_eq!(labelled(own.clone(), "tmpfs", with), own);
    }
}
