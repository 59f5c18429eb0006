//! `--pid-file`: written ahead under another name, and there when the container is.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::LifecycleError;
use crate::failure::{Doing, Failure};

/// Written beside its place. Removed when dropped, unless it was put there.
pub struct PidFile {
    path: PathBuf,
    temporary: Option<PathBuf>,
}

impl PidFile {
    /// Writes it beside its place.
    pub fn lay(path: &Path, pid: i32) -> Result<Self, LifecycleError> {
        let name = path
            .file_name()
            .ok_or_else(|| LifecycleError::PidFile(path.to_owned()))?;
        let temporary = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
        let doing = || format!("writing --pid-file `{}`", path.display());
        let mut file = fs::File::create(&temporary).doing(doing)?;
        let laid = Self {
            path: path.to_owned(),
            temporary: Some(temporary),
        };
        file.write_all(pid.to_string().as_bytes()).doing(doing)?;
        Ok(laid)
    }

    /// Puts it in its place, whole or not at all.
    pub fn place(mut self) -> Result<(), LifecycleError> {
        let path = &self.path;
        let doing = || format!("writing --pid-file `{}`", path.display());
        // A file system on disk writes out at once what is renamed over a file, which costs more
        // than all else of this.
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Failure::new(doing(), error).into());
            }
            _ => {}
        }
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, path).doing(doing)?;
        }
        self.temporary = None;
        Ok(())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Best effort: the error that counts is there already.
            let _ = fs::remove_file(temporary);
        }
    }
}
