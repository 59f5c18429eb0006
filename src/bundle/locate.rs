//! Finding manifest.json and container.wasm (runtime-spec/megabinary.md, "Where a runtime finds
//! them"): beside config.json, else in the image's `/.megabinary`.
//!
//! Found by what is there, never by an annotation. The image is hostile: each file is opened once,
//! inside its directory, without following links, and only as a regular file of bounded size.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::failure::{Doing, Failure};

/// Name of the manifest.
const MANIFEST: &str = "manifest.json";
/// The image's directory for both files.
const IN_IMAGE: &str = ".megabinary";

/// Why the files were not found or not read.
#[derive(Debug, Error)]
pub enum LocateError {
    /// Neither place has a manifest.
    #[error(
        "no megabinary: neither `{bundle}/manifest.json` nor `{rootfs}/.megabinary/manifest.json` \
         exists. This runtime executes only what a signed manifest names, and the node's \
         configuration says native = \"deny\"; add a megabinary with `megabin bundle` or run this \
         image with another runtime"
    )]
    Missing {
        /// The bundle.
        bundle: PathBuf,
        /// The root file system.
        rootfs: PathBuf,
    },
    /// It is there but not a regular file.
    #[error("`{0}` is not a regular file")]
    NotAFile(PathBuf),
    /// It is larger than the format allows.
    #[error("`{path}` is larger than {limit} bytes, the most that the format allows")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: usize,
    },
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

/// A directory that holds a manifest.
#[derive(Debug)]
pub struct Place {
    dir: OwnedFd,
    path: PathBuf,
}

/// Finds the manifest and reads it whole. A file that is there and cannot be read is an error, not
/// a reason to look further.
pub fn manifest(bundle: &Path, rootfs: &Path) -> Result<(Place, Vec<u8>), LocateError> {
    let limit = megabinary::limits::MANIFEST_BYTES;
    for (base, below) in [(bundle, ""), (rootfs, IN_IMAGE)] {
        let Some(place) = Place::open(base, below)? else {
            continue;
        };
        if let Some(bytes) = place.read(MANIFEST, limit)? {
            return Ok((place, bytes));
        }
    }
    Err(LocateError::Missing {
        bundle: bundle.to_owned(),
        rootfs: rootfs.to_owned(),
    })
}

impl Place {
    fn open(base: &Path, below: &str) -> Result<Option<Self>, LocateError> {
        let path = base.join(below);
        let doing = || format!("opening `{}`", path.display());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(base, flags, Mode::empty()).doing(doing)?;
        if below.is_empty() {
            return Ok(Some(Self { dir, path }));
        }
        match open_inside(&dir, below, flags) {
            Ok(dir) => Ok(Some(Self { dir, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Failure::new(doing(), error).into()),
        }
    }

    /// Reads one of its files; none when it does not exist.
    pub fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, LocateError> {
        let path = self.path.join(name);
        let doing = || format!("opening `{}`", path.display());
        // Without waiting on a fifo, or becoming the owner of a terminal.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match open_inside(&self.dir, name, flags) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Failure::new(doing(), error).into()),
        };
        let stat = rustix::fs::fstat(&file).doing(doing)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(LocateError::NotAFile(path));
        }
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if size > limit {
            return Err(LocateError::TooLarge { path, limit });
        }
        let mut bytes = vkernel::buffer::with_room(size);
        File::from(file)
            .take(limit as u64 + 1)
            .read_to_end(&mut bytes)
            .doing(|| format!("reading `{}`", path.display()))?;
        if bytes.len() > limit {
            return Err(LocateError::TooLarge { path, limit });
        }
        Ok(Some(bytes))
    }

    /// The path of one of its files, for messages.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn open_inside(dir: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(dir, path, flags, Mode::empty(), how) {
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(dir.path().join("rootfs/.megabinary")).unwrap();
            Self { dir }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn find(&self) -> Result<Vec<u8>, LocateError> {
            manifest(self.dir.path(), &self.at("rootfs")).map(|(_, bytes)| bytes)
        }
    }

    #[test]
    fn the_bundles_own_comes_first() {
        let fixture = Fixture::new();
        std::fs::write(fixture.at("rootfs/.megabinary/manifest.json"), "image").unwrap();
        assert_eq!(fixture.find().unwrap(), b"image");
        std::fs::write(fixture.at("manifest.json"), "bundle").unwrap();
        assert_eq!(fixture.find().unwrap(), b"bundle");
    }

    #[test]
    fn without_one_the_message_names_both_places_and_the_setting() {
        let fixture = Fixture::new();
        let message = fixture.find().unwrap_err().to_string();
        assert!(
            message.contains("/manifest.json") && message.contains("native"),
            "{message}"
        );
        std::fs::remove_dir(fixture.at("rootfs/.megabinary")).unwrap();
        assert!(matches!(fixture.find(), Err(LocateError::Missing { .. })));
    }

    #[test]
    fn links_are_not_followed_anywhere() {
        let fixture = Fixture::new();
        std::fs::write(fixture.at("secret"), "secret").unwrap();
        symlink(
            fixture.at("secret"),
            fixture.at("rootfs/.megabinary/manifest.json"),
        )
        .unwrap();
        assert!(matches!(fixture.find(), Err(LocateError::System(_))));

        std::fs::remove_dir_all(fixture.at("rootfs/.megabinary")).unwrap();
        std::fs::create_dir(fixture.at("elsewhere")).unwrap();
        std::fs::write(fixture.at("elsewhere/manifest.json"), "x").unwrap();
        symlink(fixture.at("elsewhere"), fixture.at("rootfs/.megabinary")).unwrap();
        assert!(matches!(fixture.find(), Err(LocateError::System(_))));

        std::fs::remove_file(fixture.at("rootfs/.megabinary")).unwrap();
        symlink(".megabinary", fixture.at("rootfs/.megabinary")).unwrap();
        assert!(matches!(fixture.find(), Err(LocateError::System(_))));
    }

    #[test]
    fn only_regular_files_of_bounded_size() {
        let fixture = Fixture::new();
        let path = fixture.at("manifest.json");
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(fixture.find(), Err(LocateError::NotAFile(_))));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(fixture.find(), Err(LocateError::NotAFile(_))));
        std::fs::remove_dir(&path).unwrap();
        let huge = File::create(&path).unwrap();
        huge.set_len(megabinary::limits::MANIFEST_BYTES as u64 + 1)
            .unwrap();
        assert!(matches!(fixture.find(), Err(LocateError::TooLarge { .. })));
    }
}
