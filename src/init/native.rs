//! The last step where the node allows native code: this process executes the container's program.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Process;
use rustix::fs::{Access, FileType};
use rustix::io::Errno;
use thiserror::Error;

use super::request::Native;
use crate::failure::{Doing, Failure};
use crate::sandbox::hooks::{self, HookError};
use crate::seccomp::{self, Program as Filter, SeccompError};
use crate::sys::{fds, signals};

/// Where programs are looked for without a `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// More of `/etc/passwd` is not read.
const PASSWD_BYTES: u64 = 1 << 20;

/// Why the program could not be executed. Engines tell by the words and the code which it was.
#[derive(Debug, Error)]
pub enum NativeError {
    /// There is no such program.
    #[error("executable file `{0}` not found in $PATH: no such file or directory")]
    NotFound(String),
    /// It may not be executed.
    #[error("executing `{0}`: permission denied")]
    Denied(String),
    /// A `startContainer` hook failed.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The filter of config.json was not taken.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

impl NativeError {
    /// 127 not found, 126 not allowed, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound(_) => 127,
            Self::Denied(_) => 126,
            _ => 1,
        }
    }
}

/// A native program that waits for its turn.
pub struct Program {
    request: Native,
    args: Vec<CString>,
    env: Vec<CString>,
    /// Loaded as the last thing before the program, where that needs no privilege.
    filter: Option<Filter>,
    passed: Vec<OwnedFd>,
}

impl Program {
    /// Takes over what the program is to have.
    pub fn new(
        request: Native,
        process: &Process,
        passed: Vec<OwnedFd>,
    ) -> Result<Self, NativeError> {
        let texts = |list: &Option<Vec<String>>| -> Result<Vec<CString>, Failure> {
            let text = |text: &String| CString::new(text.as_str());
            let list = list.iter().flatten().map(text).collect::<Result<_, _>>();
            list.doing(|| "reading process.args and process.env")
        };
        let mut env = texts(process.env())?;
        if !env
            .iter()
            .any(|variable| variable.as_bytes().starts_with(b"HOME="))
        {
            let users = passwd();
            let home = home_of(process.user().uid(), &users);
            let home = CString::new(format!("HOME={home}"));
            env.extend(home.ok());
        }
        Ok(Self {
            request,
            args: texts(process.args())?,
            env,
            filter: None,
            passed,
        })
    }

    /// Keeps the filter for the last moment.
    pub fn filter_at_the_end(&mut self, filter: Option<Filter>) {
        self.filter = filter;
    }

    /// Looks the program up as the user who will run it, so that create can say what is wrong.
    pub fn check(&self) -> Result<(), NativeError> {
        self.find().map(drop)
    }

    fn find(&self) -> Result<PathBuf, NativeError> {
        let name = self.args.first().map_or(&b""[..], |name| name.as_bytes());
        let prefix = b"PATH=";
        let path = self
            .env
            .iter()
            .find_map(|v| v.as_bytes().strip_prefix(prefix));
        find(name, path.unwrap_or(DEFAULT_PATH.as_bytes()), executable)
    }

    /// Becomes the program. Returns only when that failed, with the exit code.
    pub fn run(self) -> u8 {
        let Err(error) = self.try_run();
        eprintln!("megarun: {error}");
        error.exit_code()
    }

    fn try_run(self) -> Result<Infallible, NativeError> {
        let Native { hooks, state, .. } = &self.request;
        let filter = self.filter.as_ref();
        hooks::run_filtered("startContainer", hooks, state, Path::new("/"), filter)?;
        let program = self.find()?;
        for fd in &self.passed {
            fds::keep_on_exec(fd).doing(|| "passing a descriptor of --preserve-fds")?;
        }
        signals::reset().doing(|| "giving signals their default again")?;
        let path = CString::new(program.as_os_str().as_bytes())
            .doing(|| format!("executing `{}`", program.display()))?;
        if let Some(filter) = &self.filter {
            seccomp::load(filter)?;
        }
        let Err(error) = nix::unistd::execve(&path, &self.args, &self.env);
        let doing = format!("executing `{}`", program.display());
        Err(match error {
            nix::errno::Errno::ENOENT => NativeError::NotFound(program.display().to_string()),
            nix::errno::Errno::EACCES => NativeError::Denied(program.display().to_string()),
            error => Failure::new(doing, error).into(),
        })
    }
}

/// The first of the directories of `path` that has the program; a name with a `/` is a path itself.
fn find(
    name: &[u8],
    path: &[u8],
    executable: impl Fn(&Path) -> Result<(), Errno>,
) -> Result<PathBuf, NativeError> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    let mut denied = false;
    let mut attempt = |candidate: PathBuf| match executable(&candidate) {
        Ok(()) => Some(candidate),
        Err(Errno::NOENT | Errno::NOTDIR) => None,
        Err(_) => {
            denied = true;
            None
        }
    };
    let found = match (name, name.contains(&b'/')) {
        (b"", _) => None,
        (_, true) => attempt(OsStr::from_bytes(name).into()),
        (_, false) => path.split(|byte| *byte == b':').find_map(|dir| {
            let dir = if dir.is_empty() { b"." } else { dir };
            attempt(Path::new(OsStr::from_bytes(dir)).join(OsStr::from_bytes(name)))
        }),
    };
    found.ok_or_else(|| match denied {
        true => NativeError::Denied(shown()),
        false => NativeError::NotFound(shown()),
    })
}

/// Whether this process's user may execute the file.
fn executable(path: &Path) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::ACCESS);
    }
    // Its user is its real one too; asking for the effective one needs a later system call, which
    // older profiles do not let through.
    rustix::fs::access(path, Access::EXEC_OK)
}

/// The container's `/etc/passwd`, as far as it is a file.
fn passwd() -> String {
    let mut text = Vec::new();
    let file = std::fs::File::options()
        .read(true)
        // An image may put a fifo or a terminal there.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open("/etc/passwd");
    if let Ok(file) = file
        && file.metadata().is_ok_and(|meta| meta.is_file())
    {
        // What cannot be read is as if it were not there.
        let _ = file.take(PASSWD_BYTES).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The home directory of a user; `/` for one that is not in the list.
fn home_of(user: u32, passwd: &str) -> &str {
    let mut entries = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let number: u32 = fields.nth(2)?.parse().ok()?;
        Some((number, fields.nth(2)?))
    });
    let entry = entries.find(|(number, _)| *number == user);
    entry
        .map(|(_, home)| home)
        .filter(|home| !home.is_empty())
        .unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_shells_do() {
        let there = |path: &Path| match path.to_str() {
            Some("/bin/ls" | "./here" | "/opt/tool") => Ok(()),
            Some("/sbin/secret" | "/etc") => Err(Errno::ACCESS),
            _ => Err(Errno::NOENT),
        };
        let find = |name: &str, path: &str| match find(name.as_bytes(), path.as_bytes(), there) {
            Ok(found) => found.display().to_string(),
            Err(error) => format!("{} {error}", error.exit_code()),
        };
        assert_eq!(find("ls", "/sbin:/bin"), "/bin/ls");
        assert_eq!(find("/opt/tool", ""), "/opt/tool");
        assert_eq!(find("here", "/sbin:"), "./here");
        for name in ["nosuch", "", "/bin/nosuch"] {
            let expected = format!("127 executable file `{name}` not found in $PATH: ");
            assert!(find(name, "/sbin:/bin").starts_with(&expected), "{name}");
        }
        for name in ["secret", "/etc"] {
            let expected = format!("126 executing `{name}`: permission denied");
            assert_eq!(find(name, "/sbin:/bin"), expected);
        }
    }

    #[test]
    fn a_home_is_the_users_or_the_root() {
        let list = "root:x:0:0:root:/root:/bin/sh\nbroken:x\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:7:7:::\n";
        for (user, home) in [(0, "/root"), (1000, "/home/alice"), (7, "/"), (8, "/")] {
            assert_eq!(home_of(user, list), home);
        }
        assert_eq!(home_of(0, ""), "/");
    }
}
