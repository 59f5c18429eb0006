//! A terminal of the test's own, and a program that runs on it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Nothing here takes this long unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both ends of a terminal.
fn pair() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let size = libc::winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: both addresses are of integers that outlive the call, the size is read only, and no
    // name or modes are passed.
    let made = unsafe {
        libc::openpty(
            &raw mut master,
            &raw mut slave,
            std::ptr::null_mut(),
            std::ptr::null(),
            &raw const size,
        )
    };
    assert_eq!(made, 0, "a terminal: {}", std::io::Error::last_os_error());
    // SAFETY: the call made both, and nobody else knows them.
    let ends = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
    // Programs that are started meanwhile must not hold them open.
    for end in [&ends.0, &ends.1] {
        // SAFETY: a plain system call on an open descriptor.
        unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    ends
}

/// Makes `command` the first of a session whose terminal is `slave`.
fn lead_session(command: &mut Command, slave: &OwnedFd) {
    let slave = slave.as_raw_fd();
    // SAFETY: two system calls, which take no lock and no memory; the descriptor is open until the
    // command has been started.
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() < 0 || libc::ioctl(slave, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// A terminal that a command has without its streams being on it.
pub struct Controlling {
    _master: OwnedFd,
    _slave: OwnedFd,
}

impl Controlling {
    /// Gives `command` a session with a terminal. It is there as long as the value returned.
    pub fn give(command: &mut Command) -> Controlling {
        let (master, slave) = pair();
        lead_session(command, &slave);
        Controlling {
            _master: master,
            _slave: slave,
        }
    }
}

#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    /// Nothing more will come.
    over: bool,
}

/// A program whose streams are a terminal that the test types on.
pub struct Terminal {
    master: File,
    child: Child,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    /// What was waited for already.
    read_up_to: usize,
}

impl Terminal {
    /// Starts `command` on a terminal of 24 rows and 80 columns.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command) -> Terminal {
        let (master, slave) = pair();
        lead_session(command, &slave);
        let stream = || Stdio::from(slave.try_clone().expect("one more descriptor"));
        let child = command
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let master = File::from(master);
        let seen: Arc<(Mutex<Seen>, Condvar)> = Arc::default();
        let (mut reader, told) = (master.try_clone().expect("one more"), seen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last end of the other side that is closed makes this an error.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let mut seen = told.0.lock().expect("nothing panics with it");
                seen.bytes.extend_from_slice(&buffer[..length]);
                told.1.notify_all();
            }
            told.0.lock().expect("nothing panics with it").over = true;
            told.1.notify_all();
        });
        Terminal {
            master,
            child,
            seen,
            read_up_to: 0,
        }
    }

    /// Types.
    #[track_caller]
    pub fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("typing");
    }

    /// That a shell on it, whose prompt is `ready> `, and what that starts are told its size and a
    /// change of it. It is 12 columns wide then.
    ///
    /// # Panics
    ///
    /// When they are not.
    #[track_caller]
    pub fn has_a_size(&mut self) {
        self.types("mkdir /tmp/ls; cd /tmp/ls; touch aaaaaaaa bbbbbbbb cccccccc; ls -C\n");
        self.shows("\r\naaaaaaaa  bbbbbbbb  cccccccc\r\nready> ");
        self.types(
            "sh -c 'trap \"ls -C; exit\" WINCH; read go; echo waiting; while :; do sleep 0.02; done'\n",
        );
        // Who can read from the terminal is in its front, and is told.
        self.types("go\n");
        self.shows("\r\nwaiting\r\n");
        self.resize(24, 12);
        self.shows("aaaaaaaa\r\nbbbbbbbb\r\ncccccccc\r\nready> ");
    }

    /// Waits until `text` is shown after what was waited for before, and gives what came up to
    /// there.
    ///
    /// # Panics
    ///
    /// When it does not come, with all that was shown.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> String {
        let started = Instant::now();
        let mut seen = self.seen.0.lock().expect("nothing panics with it");
        loop {
            let new = &seen.bytes[self.read_up_to..];
            let found = new
                .windows(text.len())
                .position(|part| part == text.as_bytes());
            if let Some(at) = found {
                let upto = String::from_utf8_lossy(&new[..at]).into_owned();
                self.read_up_to += at + text.len();
                return upto;
            }
            let left = PATIENCE.saturating_sub(started.elapsed());
            assert!(
                !seen.over && !left.is_zero(),
                "{text:?} was not shown, but {:?}, after {:?}",
                String::from_utf8_lossy(new),
                String::from_utf8_lossy(&seen.bytes[..self.read_up_to]),
            );
            seen = (self.seen.1.wait_timeout(seen, left))
                .expect("nothing panics with it")
                .0;
        }
    }

    /// Makes it as large as this.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: the request reads one such structure.
        let set =
            unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(set, 0, "a size: {}", std::io::Error::last_os_error());
    }

    /// Waits for the program's end: its exit code, 128 + n for signal n.
    ///
    /// # Panics
    ///
    /// When it does not end; it is killed.
    #[track_caller]
    pub fn ends(mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;

        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                let signal = status.signal().unwrap_or(0);
                return status.code().unwrap_or(128 + signal);
            }
            if started.elapsed() > PATIENCE {
                let seen = self.seen.0.lock().expect("nothing panics with it");
                panic!(
                    "it did not end, but showed {:?}",
                    String::from_utf8_lossy(&seen.bytes)
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
