//! Mount options as config.json has them: flags, propagation, and data for the file system. Pure.

use std::path::{Component, Path, PathBuf};

use libc::{
    MOUNT_ATTR__ATIME as ATIME, MOUNT_ATTR_NOATIME as NOATIME, MOUNT_ATTR_NODEV as NODEV,
    MOUNT_ATTR_NODIRATIME as NODIRATIME, MOUNT_ATTR_NOEXEC as NOEXEC, MOUNT_ATTR_NOSUID as NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW as NOSYMFOLLOW, MOUNT_ATTR_RDONLY as RDONLY,
    MOUNT_ATTR_STRICTATIME as STRICTATIME, MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE,
};

use crate::sys::mount_attr::Attr;

/// What a mount's options mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// It is a bind mount; `Some(true)` with everything mounted below the source.
    pub bind: Option<bool>,
    /// Attributes of the mount itself.
    pub attr: Attr,
    /// Attributes of the whole tree (`rro` and its like).
    pub tree_attr: Attr,
    /// Propagation (`MS_*`) and whether it is for the whole tree.
    pub propagation: Option<(u64, bool)>,
    /// The ids of a bind's files are mapped; `Some(true)` those of everything mounted below too.
    pub idmap: Option<bool>,
    /// To what they are mapped, as crun writes it (`idmap=uids=...`): see [`super::ids`].
    pub ids: Option<String>,
    /// A tmpfs begins with what the image has at its place.
    pub copy_up: bool,
    /// What is left for the file system: flags have no value.
    pub data: Vec<(String, Option<String>)>,
}

/// Name, attributes to set, attributes to clear. A leading `r` makes each recursive.
const ATTRIBUTES: [(&str, u64, u64); 18] = [
    ("ro", RDONLY, 0),
    ("rw", 0, RDONLY),
    ("nosuid", NOSUID, 0),
    ("suid", 0, NOSUID),
    ("nodev", NODEV, 0),
    ("dev", 0, NODEV),
    ("noexec", NOEXEC, 0),
    ("exec", 0, NOEXEC),
    ("nodiratime", NODIRATIME, 0),
    ("diratime", 0, NODIRATIME),
    ("nosymfollow", NOSYMFOLLOW, 0),
    ("symfollow", 0, NOSYMFOLLOW),
    ("relatime", 0, ATIME),
    ("norelatime", 0, 0),
    ("noatime", NOATIME, ATIME),
    ("atime", 0, ATIME),
    ("strictatime", STRICTATIME, ATIME),
    ("nostrictatime", 0, ATIME),
];

const PROPAGATION: [(&str, u64); 4] = [
    ("private", MS_PRIVATE),
    ("shared", MS_SHARED),
    ("slave", MS_SLAVE),
    ("unbindable", MS_UNBINDABLE),
];

/// How a tmpfs is made: what engines' users leave in the options of a bind mount.
const OF_TMPFS: [&str; 6] = ["mode", "size", "uid", "gid", "nr_inodes", "nr_blocks"];

/// Reads a mount's options. `kind` is its type. The error is the reason, naming the option.
pub fn parse(kind: &str, options: &[String]) -> Result<Options, String> {
    let mut out = Options::default();
    if kind == "bind" {
        out.bind = Some(false);
    }
    for option in options {
        match option.as_str() {
            "bind" => out.bind = Some(out.bind.unwrap_or(false)),
            "rbind" => out.bind = Some(true),
            "defaults" | "async" | "nomand" | "loud" | "silent" => {}
            "tmpcopyup" if kind == "tmpfs" => out.copy_up = true,
            "idmap" => out.idmap = Some(out.idmap.unwrap_or(false)),
            "ridmap" => out.idmap = Some(true),
            name if let Some((kind @ ("idmap" | "ridmap"), ids)) = name.split_once('=') => {
                out.idmap = Some(kind == "ridmap" || out.idmap == Some(true));
                out.ids = (!ids.is_empty()).then(|| ids.to_owned());
            }
            "remount" | "tmpcopyup" | "copy-symlink" => {
                return Err(format!("option `{option}` is not supported; remove it"));
            }
            name => named(name, &mut out),
        }
    }
    if out.bind.is_none() && out.idmap.is_some() {
        return Err("option `idmap` is for bind mounts; remove it".to_owned());
    }
    if out.bind.is_some() {
        for (name, _) in std::mem::take(&mut out.data) {
            if !OF_TMPFS.contains(&name.as_str()) {
                return Err(format!(
                    "option `{name}` means nothing for a bind mount; remove it"
                ));
            }
            // As with crun and runc it is no error: it would say how to make a file system.
            log::warn!("mount option `{name}` has no effect on a bind mount");
        }
    }
    Ok(out)
}

fn named(name: &str, out: &mut Options) {
    let find = |name: &str| ATTRIBUTES.iter().find(|(known, ..)| *known == name);
    if let Some((_, set, clear)) = find(name) {
        apply(&mut out.attr, *set, *clear);
    } else if let Some((_, set, clear)) = name.strip_prefix('r').and_then(find) {
        out.tree_attr.recursive = true;
        apply(&mut out.tree_attr, *set, *clear);
    } else if let Some((flag, recursive)) = propagation(name) {
        out.propagation = Some((flag, recursive));
    } else {
        let (key, value) = match name.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (name, None),
        };
        out.data.push((key.to_owned(), value));
    }
}

/// A propagation type by its name, and whether it is for the whole tree (`rslave`).
pub fn propagation(name: &str) -> Option<(u64, bool)> {
    let find = |name: &str| PROPAGATION.iter().find(|(known, _)| *known == name);
    if let Some((_, flag)) = find(name) {
        return Some((*flag, false));
    }
    name.strip_prefix('r')
        .and_then(find)
        .map(|(_, flag)| (*flag, true))
}

/// The names of all options that are not the file system's own, for `features`.
pub fn names() -> Vec<String> {
    let named = ATTRIBUTES
        .iter()
        .map(|(name, ..)| *name)
        .chain(PROPAGATION.iter().map(|(name, _)| *name));
    let mut names: Vec<String> = named
        .flat_map(|name| [name.to_owned(), format!("r{name}")])
        .collect();
    let others = [
        "bind",
        "rbind",
        "defaults",
        "async",
        "nomand",
        "loud",
        "silent",
        "tmpcopyup",
        "idmap",
        "ridmap",
        // The kernel's own for every file system that is made.
        "dirsync",
        "lazytime",
        "nolazytime",
        "mand",
        "sync",
    ];
    names.extend(others.map(str::to_owned));
    names.sort();
    names
}

/// The later option wins: `ro,rw` is `rw`.
fn apply(attr: &mut Attr, set: u64, clear: u64) {
    // The access-time field is one value: whoever changes it clears the whole of it first.
    attr.set = (attr.set & !clear & !set) | set;
    attr.clear = (attr.clear & !set) | clear;
}

/// The mount point inside the root: absolute, `.` and `..` resolved in the text as engines expect,
/// never above the root. The error is the reason.
pub fn destination(path: &Path) -> Result<PathBuf, String> {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if clean == Path::new("/") {
        return Err("nothing can be mounted over the root; set root.path instead".to_owned());
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(kind: &str, text: &str) -> Options {
        parse(kind, &words(text)).unwrap()
    }

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn flags_and_data_are_told_apart() {
        let dev = options("tmpfs", "nosuid,strictatime,mode=755,size=65536k,noswap");
        assert_eq!(dev.attr.set, NOSUID | STRICTATIME);
        assert_eq!(
            dev.data,
            [
                ("mode".to_owned(), Some("755".to_owned())),
                ("size".to_owned(), Some("65536k".to_owned())),
                ("noswap".to_owned(), None),
            ]
        );
        assert_eq!(dev.bind, None);
    }

    #[test]
    fn the_last_of_two_contrary_options_wins() {
        assert_eq!(
            options("bind", "ro,rw").attr,
            Attr {
                clear: RDONLY,
                ..Attr::default()
            }
        );
        assert_eq!(options("bind", "rw,ro").attr, Attr::read_only());
        let times = options("bind", "noatime,relatime").attr;
        assert_eq!((times.set & ATIME, times.clear), (0, ATIME));
        let times = options("bind", "strictatime,noatime").attr;
        // The kernel wants the whole field cleared by whoever sets it.
        assert_eq!((times.set, times.clear), (NOATIME, ATIME));
    }

    #[test]
    fn recursion_is_of_the_bind_the_attributes_and_the_propagation_apart() {
        let plain = options("bind", "rbind,ro,rslave");
        assert_eq!(plain.bind, Some(true));
        assert!(!plain.attr.recursive);
        assert_eq!(plain.propagation, Some((MS_SLAVE, true)));
        assert_eq!(plain.idmap, None);
        assert_eq!(options("bind", "idmap").idmap, Some(false));
        assert_eq!(options("bind", "ridmap,idmap").idmap, Some(true));
        let own = options("bind", "ro,idmap=uids=0-1-2;gids=0-1-2");
        assert_eq!(own.idmap, Some(false));
        assert_eq!(own.ids.as_deref(), Some("uids=0-1-2;gids=0-1-2"));
        assert_eq!(options("bind", "ridmap=").ids, None);
        let recursive = options("none", "bind,rro,rnosuid,private");
        assert_eq!(recursive.bind, Some(false));
        assert_eq!(recursive.tree_attr.set, RDONLY | NOSUID);
        assert!(recursive.tree_attr.recursive);
        assert_eq!(recursive.propagation, Some((MS_PRIVATE, false)));
    }

    #[test]
    fn relatime_is_not_a_recursive_elatime() {
        assert_eq!(options("tmpfs", "relatime").tree_attr, Attr::default());
        assert!(options("tmpfs", "rrelatime").tree_attr.recursive);
    }

    #[test]
    fn a_bind_mount_passes_over_what_makes_file_systems() {
        assert!(options("bind", "mode=755,size=1k,ro").data.is_empty());
        assert_eq!(options("tmpfs", "mode=755,size=1k").data.len(), 2);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (kind, option) in [
            ("tmpfs", "idmap"),
            ("bind", "tmpcopyup"),
            ("none", "remount"),
            ("bind", "xyz"),
            ("bind", "subvol=x"),
        ] {
            let reason = parse(kind, &words(option)).unwrap_err();
            assert!(
                reason.contains(option.split('=').next().unwrap()),
                "{reason}"
            );
        }
    }

    #[test]
    fn destinations_stay_below_the_root() {
        for (path, clean) in [
            ("/a/../../b", "/b"),
            ("x//y/.", "/x/y"),
            ("/../../etc", "/etc"),
            ("/a/b/..", "/a"),
        ] {
            assert_eq!(destination(Path::new(path)).unwrap(), Path::new(clean));
        }
        for path in ["/", "", ".", "/a/..", "../.."] {
            assert!(destination(Path::new(path)).is_err(), "{path}");
        }
    }
}
