//! Running a program under test with a time limit, and what came of it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nothing here takes this long unless something hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a finished program left: both streams and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; 128 + n when signal n ended it.
    pub code: i32,
    /// Standard output, whole.
    pub stdout: Vec<u8>,
    /// Standard error, whole.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// This output, when the program succeeded.
    ///
    /// # Panics
    ///
    /// When it did not, with both streams.
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(
            self.code,
            0,
            "expected success\nstdout: {}\nstderr: {}",
            self.out(),
            self.err()
        );
        self
    }
}

/// Runs `command` with `stdin` to its end.
///
/// # Panics
///
/// When it cannot be started, or still runs after two minutes (it is killed).
#[track_caller]
pub fn run_with(command: &mut Command, stdin: &[u8]) -> Output {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    let mut input = child.stdin.take().expect("stdin is piped");
    let stdout = reader(child.stdout.take().expect("stdout is piped"));
    let stderr = reader(child.stderr.take().expect("stderr is piped"));
    let stdin = stdin.to_vec();
    // A program that ends without reading closes the pipe; that is its right.
    let writer = std::thread::spawn(move || drop(input.write_all(&stdin)));
    let status = finish(child, &shown);
    writer.join().expect("the writer does not panic");
    Output {
        code: code(status),
        stdout: stdout
            .join()
            .expect("the reader does not panic")
            .expect("reading a pipe"),
        stderr: stderr
            .join()
            .expect("the reader does not panic")
            .expect("reading a pipe"),
    }
}

/// Runs `command` without input to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    run_with(command, b"")
}

/// Runs `create` or `run --detach` to its end. The container keeps the streams
/// it is given, so they are files and not pipes, which would end only with it.
#[track_caller]
pub fn run_leaving(command: &mut Command) -> Output {
    run_leaving_with(command, Stdio::null())
}

/// The same with something on standard input.
#[track_caller]
pub fn run_leaving_with(command: &mut Command, stdin: impl Into<Stdio>) -> Output {
    let shown = format!("{command:?}");
    let mut stdout = tempfile::tempfile().expect("a temporary file");
    let mut stderr = tempfile::tempfile().expect("a temporary file");
    let child = command
        .stdin(stdin)
        .stdout(stdout.try_clone().expect("one more descriptor"))
        .stderr(stderr.try_clone().expect("one more descriptor"))
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    let status = finish(child, &shown);
    let whole = |file: &mut File| {
        let mut bytes = Vec::new();
        let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
        read.map(|_| bytes).expect("reading our own file")
    };
    Output {
        code: code(status),
        stdout: whole(&mut stdout),
        stderr: whole(&mut stderr),
    }
}

/// Waits for a child, no longer than anything here takes.
#[track_caller]
fn finish(mut child: Child, shown: &str) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            return status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().expect("our own child");
            panic!("{shown}: still running after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The exit code as shells count it.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;

    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Reads a stream to its end beside the caller.
fn reader(mut stream: impl Read + Send + 'static) -> JoinHandle<std::io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    })
}
