//! A place in which engines run as on a machine of their own: its own process, mount and network
//! namespaces, `/etc` and directories. When the tests end, however they end, all of it ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::images;
use crate::command::{Output, run, run_with};
use crate::subject;

/// The room's process 1. It reaps what engines leave to it, and ends when its standard input does:
/// that is, with the tests. Killing it kills every process in the room.
const INIT: &str = r#"
set -u
dir=$1
# crun makes folders for hierarchies that the host has not: not on the host's own tmpfs. And
# Debian's works on no host that has both cgroup versions.
if [ "$(stat -f -c %T /sys/fs/cgroup)" = tmpfs ]; then
  mkdir "$dir/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$dir/cgroup" || exit 1
  for tree in /sys/fs/cgroup/*; do
    own=$dir/cgroup/${tree##*/}
    if [ -L "$tree" ]; then
      cp -d "$tree" "$own"
      continue
    fi
    mkdir "$own"
    if [ "${tree##*/}" != unified ] && mountpoint -q "$tree"; then
      mount --bind "$tree" "$own" || exit 1
    fi
  done
  umount -R -l /sys/fs/cgroup
  mount --move "$dir/cgroup" /sys/fs/cgroup || exit 1
fi
# crun gives the container's user what a stream leads to, this device too.
mkdir "$dir/dev"
mount -t tmpfs -o mode=755 tmpfs "$dir/dev" || exit 1
mknod -m 666 "$dir/dev/null" c 1 3
mount --bind "$dir/dev/null" /dev/null || exit 1
ip link set lo up
# Changes to /etc stay in the room.
mkdir "$dir/etc" "$dir/etc.work" "$dir/mnt"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$dir/etc,workdir=$dir/etc.work" /etc || exit 1
mkdir -p /etc/megarun
cp "$dir/megarun.toml" /etc/megarun/config.toml
echo ready
read -r _
kill -9 -1
umount -l /etc
for tree in /sys/fs/cgroup/*/libpod_parent /sys/fs/cgroup/*/docker /sys/fs/cgroup/*/megarun-pods-*; do
  find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null
done
# What an engine has mounted there (docker its network namespaces), the last first.
tac /proc/self/mountinfo | while read -r _ _ _ _ at _; do
  case $at in "$dir"/*) umount -l "$at" ;; esac
done
rm -rf --one-file-system "$dir"
"#;

/// See the module.
pub struct Room {
    dir: PathBuf,
    /// Its standard input is what keeps the room.
    holder: Child,
}

impl Room {
    /// The room of this test program, made when it is first asked for.
    ///
    /// # Panics
    ///
    /// When this is not root, or something the room needs is not installed.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Room> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    fn new() -> Self {
        subject::require_root();
        // Before anything is made that only the room would remove.
        let megabin = subject::megabin();
        // Below /run only root writes; kept: the room removes it itself.
        let dir = tempfile::Builder::new()
            .prefix("megarun-room-")
            .tempdir_in("/run")
            .expect("a directory below /run")
            .keep();
        for name in ["trust", "cache", "images"] {
            fs::create_dir(dir.join(name)).expect("a directory of our own");
        }
        let config = format!(
            "trust = [{:?}]\ncache = {:?}\naudit = {:?}\nprecompiler = {:?}\n",
            dir.join("trust"),
            dir.join("cache"),
            dir.join("audit.jsonl"),
            megabin,
        );
        fs::write(dir.join("megarun.toml"), config).expect("writing the configuration");
        let namespaces = ["--mount", "--pid", "--net", "--fork", "--mount-proc"];
        let mut holder = Command::new("unshare")
            .args(namespaces)
            .args(["--kill-child", "--propagation", "slave"])
            .args(["bash", "-c", INIT, "init"])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starting unshare (util-linux)");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("stdout is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("reading from the room");
        assert_eq!(line, "ready\n", "the room could not be made");
        let room = Self { dir, holder };
        images::make(&room);
        room
    }

    /// A path in the room's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// `program` with `args` in the room, with a time limit that also ends what it started.
    pub fn command(&self, program: impl AsRef<Path>, args: &[&str]) -> Command {
        let mut command = self.enter();
        command
            .args(["timeout", "--foreground", "--kill-after=5", "60"])
            .arg(program.as_ref())
            .args(args);
        command
    }

    /// `program` with `args` in the room, which ends it at the latest.
    pub fn daemon(&self, program: impl AsRef<Path>, args: &[&str]) -> Command {
        let mut command = self.enter();
        command.arg(program.as_ref()).args(args);
        command
    }

    /// The file of one of its namespaces, by its name in `/proc/<pid>/ns`.
    pub fn namespace(&self, kind: &str) -> PathBuf {
        format!("/proc/{}/ns/{kind}", self.holder.id()).into()
    }

    fn enter(&self) -> Command {
        let option =
            |option: &str, kind: &str| format!("{option}={}", self.namespace(kind).display());
        let mut command = Command::new("nsenter");
        command
            .arg(option("--mount", "mnt"))
            .arg(option("--net", "net"))
            .arg(option("--pid", "pid_for_children"));
        command
    }

    /// Runs it with nothing on standard input.
    #[track_caller]
    pub fn run(&self, program: impl AsRef<Path>, args: &[&str]) -> Output {
        run(&mut self.command(program, args))
    }

    /// Runs it with `stdin`.
    #[track_caller]
    pub fn run_with(&self, program: impl AsRef<Path>, args: &[&str], stdin: &[u8]) -> Output {
        run_with(&mut self.command(program, args), stdin)
    }

    /// Whether a process of the room runs: it is there, and not only for its parent to learn its end.
    pub fn alive(&self, pid: u32) -> bool {
        let status = self.run("cat", &[&format!("/proc/{pid}/status")]);
        status.code == 0 && !status.out().contains("State:\tZ")
    }

    /// A file of the room's `/proc` or `/sys`.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        self.run("cat", &[path]).success().out()
    }
}
