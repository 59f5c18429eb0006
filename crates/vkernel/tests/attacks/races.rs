//! Paths that change while they are resolved.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::room::{ALL, MOUNTED, each};
use crate::support::{Calls, Ours, rights};

/// How long each race runs: some ten thousand attempts.
const ROUND: Duration = Duration::from_millis(400);

/// Runs `change` over and over on a thread while `attempt` is made.
fn race(
    guest: &mut Ours,
    change: impl Fn(&Path) + Send + 'static,
    mut attempt: impl FnMut(&mut Ours),
) -> u32 {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    // The root as this host process reaches it, whichever kind it is.
    let state = guest.state();
    let root = std::os::fd::AsRawFd::as_raw_fd(&state.vfs.root());
    let changer = std::thread::spawn(move || {
        // A thread of this one shares its view of the file system; reach the root by descriptor.
        let root = std::path::PathBuf::from(format!("/proc/self/fd/{root}"));
        let root = if root.exists() {
            root
        } else {
            std::path::PathBuf::from("/")
        };
        while !stopped.load(Ordering::Relaxed) {
            change(&root);
        }
    });
    let start = Instant::now();
    let mut attempts = 0;
    while start.elapsed() < ROUND {
        attempt(guest);
        attempts += 1;
    }
    stop.store(true, Ordering::Relaxed);
    changer.join().unwrap();
    attempts
}

fn swap(root: &Path, one: &str, other: &str) {
    rustix::fs::renameat_with(
        rustix::fs::CWD,
        root.join(one),
        rustix::fs::CWD,
        root.join(other),
        rustix::fs::RenameFlags::EXCHANGE,
    )
    .unwrap();
}

fn prepared(root: &Path) {
    std::fs::write(root.parent().unwrap().join("secret"), "the host's").unwrap();
    std::fs::create_dir_all(root.join("a/b/c/d")).unwrap();
    std::fs::create_dir(root.join("shallow")).unwrap();
    std::fs::create_dir(root.join("tmp/self")).unwrap();
    std::fs::write(root.join("tmp/self/mem"), "harmless").unwrap();
    std::os::unix::fs::symlink("/tmp", root.join("switch")).unwrap();
    std::os::unix::fs::symlink("/mnt/proc", root.join("switch2")).unwrap();
}

#[test]
fn a_link_swapped_between_look_and_open_never_gives_a_procfs() {
    each(MOUNTED, prepared, |_, guest| {
        let (mut found, mut refused) = (0, 0);
        let attempts = race(
            guest,
            |root| swap(root, "switch", "switch2"),
            |guest| match guest.open("/switch/self/mem", 0, rights::READ) {
                Ok(fd) => {
                    assert_eq!(guest.read(fd, 100), Ok(b"harmless".to_vec()));
                    guest.close(fd).unwrap();
                    found += 1;
                }
                Err(_) => refused += 1,
            },
        );
        assert!(
            attempts > 100 && found > 0 && refused > 0,
            "{found} {refused}"
        );
    });
}

#[test]
fn a_directory_moved_while_walked_never_leads_out() {
    each(ALL, prepared, |_, guest| {
        let change = |root: &Path| swap(root, "a/b/c", "shallow");
        let mut inside = 0;
        race(guest, change, |guest| {
            for path in [
                "a/b/c/../../../../secret",
                "a/b/c/d/../../../../../secret",
                "shallow/../../secret",
            ] {
                assert!(guest.open(path, 0, rights::READ).is_err(), "{path}");
            }
            inside += u32::from(guest.stat("a/b/c/../../../etc/passwd").is_ok());
        });
        assert!(inside > 0);
    });
}

#[test]
fn an_open_directory_moved_while_used_never_leads_out() {
    each(ALL, prepared, |_, guest| {
        let dir = guest
            .open_dir("a/b/c/d")
            .unwrap_or_else(|error| panic!("{error}"));
        let change = |root: &Path| swap(root, "a/b/c", "shallow");
        race(guest, change, |guest| {
            for path in [
                &b"../../../../../secret"[..],
                b"../../secret",
                b"../../../../../../../secret",
            ] {
                assert!(guest.open_full(dir, 1, path, 0, rights::READ, 0).is_err());
            }
        });
    });
}
