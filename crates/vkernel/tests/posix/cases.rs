// Included once for each way of resolving paths; the including module says which by `WALK`.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use crate::support::{Arg, Calls, Ours, Side, rights};
use vkernel::errno::Errno;
use vkernel::signal::Disposition;

const CREATE: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

const APPEND: u32 = 1;
const NONBLOCK: u32 = 4;

fn err<T>(errno: Errno) -> Result<T, u16> {
    Err(errno.raw())
}

fn guest() -> (tempfile::TempDir, Ours) {
    let dir = tempfile::tempdir().unwrap();
    let root = std::fs::File::open(dir.path()).unwrap();
    let vfs = vkernel::fs::Vfs::new(vkernel::fs::Root::At(root.into())).unwrap();
    let guest = Ours::new(if WALK { vfs.without_openat2() } else { vfs });
    (dir, guest)
}

#[test]
fn a_file_is_written_read_and_found() {
    let (dir, mut guest) = guest();
    let fd = guest.open("a", CREATE | EXCLUSIVE, rights::BOTH).unwrap();
    assert_eq!(fd, 4);
    assert_eq!(guest.write(fd, b"hello world"), Ok(11));
    assert_eq!(guest.tell(fd), Ok(11));
    assert_eq!(guest.seek(fd, -5, 2), Ok(6));
    assert_eq!(guest.read(fd, 100), Ok(b"world".to_vec()));
    assert_eq!(guest.read(fd, 100), Ok(vec![]));
    assert_eq!(guest.pwrite(fd, b"J", 0), Ok(1));
    assert_eq!(guest.pread(fd, 5, 0), Ok(b"Jello".to_vec()));
    assert_eq!(guest.seek(fd, -12, 1), err(Errno::INVAL));
    assert_eq!(guest.seek(fd, 0, 3), err(Errno::INVAL));
    assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"Jello world");
    let meta = std::fs::metadata(dir.path().join("a")).unwrap();
    let stat = guest.fstat(fd).unwrap();
    assert_eq!(
        (stat.ino, stat.dev, stat.size, stat.kind, stat.nlink),
        (meta.ino(), meta.dev(), 11, 4, 1)
    );
    assert_eq!(guest.stat("/a"), Ok(stat));
    assert_eq!(guest.close(fd), Ok(()));
    assert_eq!(guest.close(fd), err(Errno::BADF));
    assert_eq!(guest.read(fd, 1), err(Errno::BADF));
}

#[test]
fn open_modes_are_kept() {
    let (_dir, mut guest) = guest();
    guest.save("f", b"0123456789").unwrap();
    let reader = guest.open("f", 0, rights::READ).unwrap();
    assert_eq!(guest.write(reader, b"x"), err(Errno::BADF));
    let writer = guest.open("f", 0, rights::WRITE).unwrap();
    assert_eq!(guest.read(writer, 1), err(Errno::BADF));
    assert_eq!(
        guest.open("f", CREATE | EXCLUSIVE, rights::WRITE),
        err(Errno::EXIST)
    );
    assert_eq!(guest.open("f", DIRECTORY, rights::READ), err(Errno::NOTDIR));
    assert_eq!(guest.open("none", 0, rights::READ), err(Errno::NOENT));
    assert_eq!(guest.open("", 0, rights::READ), err(Errno::NOENT));
    assert_eq!(guest.open("f/", 0, rights::READ), err(Errno::NOTDIR));
    assert_eq!(guest.open("new/", CREATE, rights::WRITE), err(Errno::ISDIR));
    assert_eq!(guest.open("f/x", CREATE, rights::WRITE), err(Errno::NOTDIR));
    assert_eq!(
        guest.open("none/x", CREATE, rights::WRITE),
        err(Errno::NOENT)
    );
    assert_eq!(guest.open(".", 0, rights::WRITE), err(Errno::ISDIR));
    assert_eq!(
        guest.open("x", CREATE | DIRECTORY, rights::READ),
        err(Errno::INVAL)
    );
    let appender = guest
        .open_full(3, 1, b"f", 0, rights::WRITE, APPEND)
        .unwrap();
    assert_eq!(guest.fdstat(appender).unwrap().1, 1);
    guest.seek(appender, 0, 0).unwrap();
    assert_eq!(guest.write(appender, b"end"), Ok(3));
    assert_eq!(guest.cat("f"), Ok(b"0123456789end".to_vec()));
    guest.open("f", TRUNCATE, rights::WRITE).unwrap();
    assert_eq!(guest.stat("f").unwrap().size, 0);
}

#[test]
fn names_are_bytes_of_linux() {
    let (dir, mut guest) = guest();
    let odd = [b'n', 0xff, 0xfe, b'\n', b' '];
    guest
        .open_full(3, 0, &odd, CREATE, rights::WRITE, 0)
        .unwrap();
    use std::os::unix::ffi::OsStrExt;
    assert!(dir.path().join(std::ffi::OsStr::from_bytes(&odd)).exists());
    assert_eq!(
        guest.open_full(3, 0, b"a\0b", CREATE, rights::WRITE, 0),
        err(Errno::INVAL)
    );
    let long = "x".repeat(255);
    guest.mkdir(&long).unwrap();
    assert_eq!(guest.mkdir(&"x".repeat(256)), err(Errno::NAMETOOLONG));
    assert_eq!(guest.mkdir(&"x/".repeat(2048)), err(Errno::NAMETOOLONG));
    assert_eq!(
        guest.open_full(3, 1, &b"/".repeat(5000), 0, rights::READ, 0),
        err(Errno::NAMETOOLONG)
    );
    assert_eq!(
        guest.raw(
            "path_create_directory",
            &[Arg::W(3), Arg::W(u32::MAX), Arg::W(9)]
        ),
        err(Errno::FAULT)
    );
}

#[test]
fn links_lead_where_they_say_inside_the_root() {
    let (dir, mut guest) = guest();
    guest.mkdir("etc").unwrap();
    guest.mkdir("var").unwrap();
    guest.save("etc/passwd", b"the container's").unwrap();
    for (target, name) in [
        ("/etc/passwd", "absolute"),
        ("etc/passwd", "relative"),
        ("../../../../etc/passwd", "var/above"),
        ("/absolute", "chain"),
        ("/etc", "dir"),
        ("loop", "loop"),
        ("/nowhere", "dangling"),
    ] {
        guest.symlink(target, name).unwrap();
        assert_eq!(guest.readlink(name, 4096), Ok(target.as_bytes().to_vec()));
        assert_eq!(guest.lstat(name).unwrap().kind, 7);
    }
    for name in [
        "absolute",
        "relative",
        "var/above",
        "chain",
        "dir/passwd",
        "/dir/../etc/passwd",
    ] {
        assert_eq!(guest.cat(name), Ok(b"the container's".to_vec()), "{name}");
        assert_eq!(guest.stat(name).unwrap().kind, 4);
    }
    assert_eq!(guest.open("loop", 0, rights::READ), err(Errno::LOOP));
    assert_eq!(
        guest.open_full(3, 0, b"absolute", 0, rights::READ, 0),
        err(Errno::LOOP)
    );
    assert_eq!(guest.stat("dangling"), err(Errno::NOENT));
    assert_eq!(
        guest.open("dangling", CREATE | EXCLUSIVE, rights::WRITE),
        err(Errno::EXIST)
    );
    guest.save("dangling", b"made").unwrap();
    assert_eq!(std::fs::read(dir.path().join("nowhere")).unwrap(), b"made");
    assert_eq!(guest.readlink("dangling", 3), Ok(b"/no".to_vec()));
    assert_eq!(guest.readlink("etc", 10), err(Errno::INVAL));
    assert_eq!(guest.unlink("dir/"), err(Errno::NOTDIR));
    assert_eq!(guest.symlink("", "empty"), err(Errno::NOENT));
    assert_eq!(guest.symlink("x", "etc"), err(Errno::EXIST));
}

#[test]
fn opened_directories_are_starting_points_that_move_with_renames() {
    let (_dir, mut guest) = guest();
    for dir in ["a", "a/b", "other"] {
        guest.mkdir(dir).unwrap();
    }
    guest.save("top", b"top").unwrap();
    guest.save("a/x", b"x").unwrap();
    guest.symlink("/top", "a/b/up").unwrap();
    guest.symlink("../x", "a/b/near").unwrap();
    let b = guest.open_dir("a/b").unwrap();
    let read = |guest: &mut Ours, path: &str| -> Result<Vec<u8>, u16> {
        let fd = guest.open_full(b, 1, path.as_bytes(), 0, rights::READ, 0)?;
        let bytes = guest.read(fd, 100);
        guest.close(fd).unwrap();
        bytes
    };
    for path in ["up", "../../top", "../../../../../top", "/top"] {
        assert_eq!(read(&mut guest, path), Ok(b"top".to_vec()), "{path}");
    }
    assert_eq!(read(&mut guest, "near"), Ok(b"x".to_vec()));
    guest.save("other/x", b"other x").unwrap();
    guest.rename_at((3, "a/b"), (3, "other/c")).unwrap();
    assert_eq!(read(&mut guest, "near"), Ok(b"other x".to_vec()));
    assert_eq!(read(&mut guest, "../x"), Ok(b"other x".to_vec()));
    guest.unlink("other/c/up").unwrap();
    guest.unlink("other/c/near").unwrap();
    guest.rmdir("other/c").unwrap();
    assert_eq!(read(&mut guest, "../x"), err(Errno::NOENT));
    assert_eq!(
        guest.open_full(b, 1, b"n", CREATE, rights::WRITE, 0),
        err(Errno::NOENT)
    );
}

#[test]
fn directories_are_made_removed_and_renamed() {
    let (_dir, mut guest) = guest();
    guest.mkdir("d/").unwrap();
    assert_eq!(guest.mkdir("d"), err(Errno::EXIST));
    assert_eq!(guest.mkdir("/"), err(Errno::EXIST));
    assert_eq!(guest.mkdir("d/.."), err(Errno::EXIST));
    guest.save("d/f", b"1").unwrap();
    assert_eq!(guest.rmdir("d"), err(Errno::NOTEMPTY));
    assert_eq!(guest.rmdir("d/f"), err(Errno::NOTDIR));
    assert_eq!(guest.rmdir("d/."), err(Errno::INVAL));
    assert_eq!(guest.unlink("d"), err(Errno::ISDIR));
    assert_eq!(guest.unlink("d/f/"), err(Errno::NOTDIR));
    guest.mkdir("e").unwrap();
    guest.save("g", b"2").unwrap();
    assert_eq!(guest.rename("d", "e"), Ok(()));
    assert_eq!(guest.rename("g", "e"), err(Errno::ISDIR));
    assert_eq!(guest.rename("e", "g"), err(Errno::NOTDIR));
    assert_eq!(guest.rename("e", "e/inside"), err(Errno::INVAL));
    guest.rename("g", "e/f").unwrap();
    assert_eq!(guest.cat("e/f"), Ok(b"2".to_vec()));
    guest.mkdir("full").unwrap();
    guest.rename("e", "full").unwrap();
    guest.mkdir("again").unwrap();
    assert_eq!(guest.rename("again", "full"), err(Errno::NOTEMPTY));
    assert_eq!(guest.unlink("full/f"), Ok(()));
    assert_eq!(guest.rmdir("full/"), Ok(()));
    assert_eq!(guest.names("/"), Ok(vec!["again".into()]));
}

#[test]
fn hard_links_share_the_file() {
    let (_dir, mut guest) = guest();
    guest.save("f", b"1").unwrap();
    guest.symlink("f", "s").unwrap();
    guest.mkdir("d").unwrap();
    guest.link(false, "f", "g").unwrap();
    assert_eq!(guest.stat("g").unwrap().nlink, 2);
    guest.link(false, "s", "t").unwrap();
    assert_eq!(guest.lstat("t").unwrap().kind, 7);
    guest.link(true, "s", "h").unwrap();
    assert_eq!(guest.lstat("h").unwrap().nlink, 3);
    assert_eq!(guest.link(false, "f", "g"), err(Errno::EXIST));
    assert_eq!(guest.link(true, "d", "e"), err(Errno::PERM));
    assert_eq!(guest.link(false, "d", "e"), err(Errno::PERM));
    assert_eq!(guest.link(false, "none", "e"), err(Errno::NOENT));
}

#[test]
fn a_listing_is_complete_at_any_buffer_size_and_can_be_taken_up_anywhere() {
    let (dir, mut guest) = guest();
    for number in 0..1500 {
        std::fs::write(
            dir.path()
                .join(format!("file-{number:04}-{}", "y".repeat(number % 50))),
            b"",
        )
        .unwrap();
    }
    std::fs::create_dir(dir.path().join("a-dir")).unwrap();
    let fd = guest.open_dir("/").unwrap();
    let whole = guest.readdir(fd, 1 << 20).unwrap();
    assert_eq!(whole.len(), 1503);
    for room in [300, 4096, 5000] {
        assert_eq!(guest.readdir(fd, room).unwrap(), whole, "{room}");
    }
    let dots: Vec<_> = whole
        .iter()
        .filter(|entry| entry.name.starts_with(b"."))
        .collect();
    let root = guest.fstat(3).unwrap().ino;
    assert!(
        dots.len() == 2
            && dots
                .iter()
                .all(|entry| entry.ino == root && entry.kind == 3)
    );
    let kind = |name: &[u8]| whole.iter().find(|entry| entry.name == name).unwrap().kind;
    assert_eq!((kind(b"a-dir"), kind(b"file-0000-")), (3, 4));
    let middle = whole[700].next;
    let rest = guest.readdir_raw(fd, middle, 1 << 20).unwrap();
    assert_eq!(&rest[24..24 + whole[701].name.len()], &whole[701].name[..]);
    // The last entry is cut where the buffer ends, which is full.
    let cut = guest.readdir_raw(fd, 0, 30).unwrap();
    assert_eq!(cut.len(), 30);
    assert_eq!(guest.readdir_raw(fd, 0, 0), Ok(vec![]));
    assert_eq!(guest.readdir_raw(fd, u64::MAX, 100), err(Errno::INVAL));
    let file = guest.open("file-0000-", 0, rights::READ).unwrap();
    assert_eq!(guest.readdir_raw(file, 0, 100), err(Errno::NOTDIR));
}

#[test]
fn times_are_set_on_files_and_on_links_themselves() {
    let (_dir, mut guest) = guest();
    guest.save("f", b"").unwrap();
    guest.symlink("f", "s").unwrap();
    guest
        .set_times("f", true, 1_000_000_001, 2_000_000_002, 1 | 4)
        .unwrap();
    let stat = guest.stat("f").unwrap();
    assert_eq!((stat.atim, stat.mtim), (1_000_000_001, 2_000_000_002));
    guest.set_times("s", false, 5, 6, 1 | 4).unwrap();
    assert_eq!(
        guest.lstat("s").map(|stat| (stat.atim, stat.mtim)),
        Ok((5, 6))
    );
    assert_eq!(guest.stat("f").unwrap().mtim, 2_000_000_002);
    guest.set_times("s", true, 7, 0, 1).unwrap();
    assert_eq!(
        guest.stat("f").map(|stat| (stat.atim, stat.mtim)),
        Ok((7, 2_000_000_002))
    );
    guest.set_times("f", true, 0, 0, 8).unwrap();
    assert!(guest.stat("f").unwrap().mtim > 1_600_000_000_000_000_000);
    assert_eq!(guest.set_times("f", true, 0, 0, 3), err(Errno::INVAL));
    assert_eq!(guest.set_times("f", true, 0, 0, 12), err(Errno::INVAL));
    let fd = guest.open("f", 0, rights::READ).unwrap();
    guest
        .raw(
            "fd_filestat_set_times",
            &[Arg::W(fd), Arg::D(9), Arg::D(10), Arg::W(5)],
        )
        .unwrap();
    assert_eq!(
        guest.fstat(fd).map(|stat| (stat.atim, stat.mtim)),
        Ok((9, 10))
    );
}

#[test]
fn sizes_advice_and_syncing() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("f", CREATE, rights::BOTH).unwrap();
    guest
        .raw("fd_filestat_set_size", &[Arg::W(fd), Arg::D(100)])
        .unwrap();
    assert_eq!(guest.fstat(fd).unwrap().size, 100);
    guest
        .raw("fd_allocate", &[Arg::W(fd), Arg::D(50), Arg::D(150)])
        .unwrap();
    assert_eq!(guest.fstat(fd).unwrap().size, 200);
    assert_eq!(
        guest.raw("fd_allocate", &[Arg::W(fd), Arg::D(u64::MAX), Arg::D(2)]),
        err(Errno::FBIG)
    );
    for advice in 0..6 {
        guest
            .raw(
                "fd_advise",
                &[Arg::W(fd), Arg::D(0), Arg::D(10), Arg::W(advice)],
            )
            .unwrap();
    }
    assert_eq!(
        guest.raw("fd_advise", &[Arg::W(fd), Arg::D(0), Arg::D(0), Arg::W(6)]),
        err(Errno::INVAL)
    );
    guest.raw("fd_sync", &[Arg::W(fd)]).unwrap();
    guest.raw("fd_datasync", &[Arg::W(fd)]).unwrap();
    let (reader, _writer) = std::io::pipe().unwrap();
    guest.give(20, std::os::fd::OwnedFd::from(reader));
    assert_eq!(guest.seek(20, 0, 1), err(Errno::SPIPE));
    assert_eq!(guest.pread(20, 1, 0), err(Errno::SPIPE));
    assert_eq!(guest.raw("fd_sync", &[Arg::W(20)]), err(Errno::INVAL));
}

#[test]
fn the_file_size_limit_cuts_writes() {
    let (_dir, mut guest) = guest();
    guest.state().rlimits.file_size.soft = 10;
    (guest.state().kill)
        .signals(|own| own.set_disposition(libc::SIGXFSZ, Disposition::Ignore))
        .unwrap();
    let fd = guest.open("f", CREATE, rights::BOTH).unwrap();
    assert_eq!(guest.write(fd, b"12345678"), Ok(8));
    assert_eq!(guest.write(fd, b"12345678"), Ok(2));
    assert_eq!(guest.write(fd, b"1"), err(Errno::FBIG));
    assert_eq!(guest.pwrite(fd, b"abc", 9), Ok(1));
    assert_eq!(guest.pwrite(fd, b"abc", 1 << 40), err(Errno::FBIG));
    assert_eq!(
        guest.raw("fd_filestat_set_size", &[Arg::W(fd), Arg::D(11)]),
        err(Errno::FBIG)
    );
    assert_eq!(
        guest.raw("fd_allocate", &[Arg::W(fd), Arg::D(5), Arg::D(6)]),
        err(Errno::FBIG)
    );
    assert_eq!(guest.stat("f").unwrap().size, 10);
    // Who does not ignore it is ended.
    (guest.state().kill)
        .signals(|own| own.set_disposition(libc::SIGXFSZ, Disposition::Default))
        .unwrap();
    let end = guest.call("fd_filestat_set_size", &[Arg::W(fd), Arg::D(11)]);
    assert_eq!(end, Err("killed by signal 25".into()));
}

#[test]
fn descriptors_run_out_renumber_and_keep_their_flags() {
    let (_dir, mut guest) = guest();
    guest.save("f", b"abc").unwrap();
    let mut last = 0;
    while let Ok(fd) = guest.open("f", 0, rights::READ) {
        last = fd;
    }
    assert_eq!(last, 63);
    assert_eq!(guest.open("made", CREATE, rights::WRITE), err(Errno::MFILE));
    assert_eq!(guest.stat("made"), err(Errno::NOENT));
    guest.raw("fd_renumber", &[Arg::W(10), Arg::W(11)]).unwrap();
    assert_eq!(guest.fstat(10), err(Errno::BADF));
    assert_eq!(guest.read(11, 3), Ok(b"abc".to_vec()));
    assert_eq!(
        guest.raw("fd_renumber", &[Arg::W(10), Arg::W(12)]),
        err(Errno::BADF)
    );
    assert_eq!(
        guest.raw("fd_renumber", &[Arg::W(11), Arg::W(64)]),
        err(Errno::BADF)
    );
    guest
        .raw(
            "fd_fdstat_set_flags",
            &[Arg::W(11), Arg::W(NONBLOCK | APPEND)],
        )
        .unwrap();
    assert_eq!(guest.fdstat(11).unwrap().1, (NONBLOCK | APPEND) as u16);
    assert_eq!(
        guest.raw("fd_fdstat_set_flags", &[Arg::W(11), Arg::W(16)]),
        err(Errno::NOTSUP)
    );
    assert_eq!(
        guest.raw("fd_fdstat_set_flags", &[Arg::W(11), Arg::W(32)]),
        err(Errno::INVAL)
    );
}

#[test]
fn rights_can_only_be_given_up() {
    let (_dir, mut guest) = guest();
    guest.save("f", b"abc").unwrap();
    let fd = guest.open("f", 0, rights::BOTH).unwrap();
    let (_, _, base, _) = guest.fdstat(fd).unwrap();
    let set = |guest: &mut Ours, base| {
        guest.raw(
            "fd_fdstat_set_rights",
            &[Arg::W(fd), Arg::D(base), Arg::D(0)],
        )
    };
    set(&mut guest, base & !rights::WRITE).unwrap();
    assert_eq!(guest.write(fd, b"x"), err(Errno::NOTCAPABLE));
    assert_eq!(guest.read(fd, 3), Ok(b"abc".to_vec()));
    assert_eq!(set(&mut guest, base), err(Errno::NOTCAPABLE));
    let (_, _, base, inheriting) = guest.fdstat(3).unwrap();
    assert!(inheriting & rights::BOTH == rights::BOTH && base & 1 << 13 != 0);
}

#[test]
fn a_broken_pipe_ends_the_writer() {
    let (_dir, mut guest) = guest();
    let (reader, writer) = std::io::pipe().unwrap();
    guest.give(1, std::os::fd::OwnedFd::from(writer));
    assert_eq!(guest.write(1, b"x"), Ok(1));
    drop(reader);
    guest.put(256, &[0, 0, 1, 0, 1, 0, 0, 0]);
    let end = guest.call("fd_write", &[Arg::W(1), Arg::W(256), Arg::W(1), Arg::W(64)]);
    assert_eq!(end, Err("killed by signal 13".into()));
}

#[test]
fn a_fifo_and_a_socket_in_the_file_system() {
    let (dir, mut guest) = guest();
    let fifo = std::ffi::CString::new(dir.path().join("fifo").to_str().unwrap()).unwrap();
    // SAFETY: a plain system call with a string that outlives it.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    let path = dir.path().join("fifo");
    assert!(std::fs::metadata(&path).unwrap().file_type().is_fifo());
    let writer = std::thread::spawn(move || std::fs::write(path, b"through").unwrap());
    let fd = guest.open("fifo", 0, rights::READ).unwrap();
    writer.join().unwrap();
    assert_eq!(guest.read(fd, 100), Ok(b"through".to_vec()));
    let _listener = std::os::unix::net::UnixListener::bind(dir.path().join("sock")).unwrap();
    assert_eq!(guest.open("sock", 0, rights::READ), err(Errno::NXIO));
    assert!(guest.open_full(3, 1, b"fifo", 0, rights::WRITE, NONBLOCK).is_ok());
}

#[test]
fn the_working_directory_is_where_relative_paths_start() {
    let (_dir, mut guest) = guest();
    guest.mkdir("home").unwrap();
    guest.save("home/f", b"mine").unwrap();
    guest.save("f", b"the root's").unwrap();
    guest.state().cwd = b"/home".to_vec();
    let cwd = vkernel::fs::GUEST_CWD;
    for (path, text) in [("f", "mine"), ("../f", "the root's"), ("/f", "the root's"), ("./f", "mine")] {
        let fd = guest.open_full(cwd, 1, path.as_bytes(), 0, rights::READ, 0).unwrap();
        assert_eq!(guest.read(fd, 100), Ok(text.into()), "{path}");
        assert!(guest.stat_at(cwd, path.as_bytes(), true).is_ok());
    }
    guest.one_path("path_create_directory", cwd, b"made").unwrap();
    assert_eq!(guest.stat("home/made").unwrap().kind, 3);
    guest.rename_at((cwd, "made"), (3, "moved")).unwrap();
    assert_eq!(guest.stat("moved").unwrap().kind, 3);
    // It is no descriptor: nothing else takes it.
    assert_eq!(guest.fstat(cwd), err(Errno::BADF));
    guest.state().cwd = b"/gone".to_vec();
    assert_eq!(guest.stat_at(cwd, b"f", true), err(Errno::NOENT));
}

#[test]
fn access_says_what_an_open_would() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, mut guest) = guest();
    guest.save("f", b"x").unwrap();
    std::os::unix::fs::symlink("none", dir.path().join("dangling")).unwrap();
    std::os::unix::fs::symlink("/f", dir.path().join("link")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(dir.path().join("f"), mode).unwrap();
    let mut ask = |path: &str, mode: u32, flags: u32| {
        let (at, len) = guest.put(4096, path.as_bytes());
        guest.raw("access", &[Arg::W(3), at, len, Arg::W(mode), Arg::W(flags)])
    };
    for path in ["f", "/f", "link", "."] {
        assert_eq!(ask(path, 0, 0), Ok(()), "{path}");
        assert_eq!(ask(path, 4 | 2, 0), Ok(()), "{path}");
    }
    // Nobody may execute it, not even root.
    assert_eq!(ask("f", 1, 0), err(Errno::ACCES));
    assert_eq!(ask(".", 1, 0), Ok(()));
    assert_eq!(ask("none", 0, 0), err(Errno::NOENT));
    assert_eq!(ask("dangling", 0, 0), err(Errno::NOENT));
    assert_eq!(ask("dangling", 0, 1), Ok(()));
    assert_eq!(ask("/proc/self/stat", 4, 0), Ok(()));
    assert_eq!(ask("/proc/self/stat", 2, 0), err(Errno::ACCES));
    assert_eq!(ask("/dev/null", 2, 0), Ok(()));
    assert_eq!(ask("f", 8, 0), err(Errno::INVAL));
    assert_eq!(ask("f", 0, 2), err(Errno::INVAL));
}
