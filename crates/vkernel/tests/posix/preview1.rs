// What the official cases of preview 1 expect, case by case in our words; which covers which is
// listed in `preview1.md`. Included like `cases.rs`.

/// Either of these errors.
#[track_caller]
fn one_of<T: std::fmt::Debug>(got: Result<T, u16>, errnos: &[Errno]) {
    let errno = got.unwrap_err();
    assert!(
        errnos.iter().any(|wanted| wanted.raw() == errno),
        "{errno} is none of {errnos:?}"
    );
}

/// Rights over a directory and what is in it.
const SEEK: u64 = 1 << 2;
const TELL: u64 = 1 << 5;
const SET_SIZE: u64 = 1 << 22;
const PATH_SET_SIZE: u64 = 1 << 19;
const CREATE_FILE: u64 = 1 << 10;

fn set_rights(guest: &mut Ours, fd: u32, base: u64, inheriting: u64) -> Result<(), u16> {
    let args = [Arg::W(fd), Arg::D(base), Arg::D(inheriting)];
    guest.raw("fd_fdstat_set_rights", &args)
}

fn open_at(guest: &mut Ours, dir: u32, path: &str, oflags: u32) -> Result<u32, u16> {
    guest.open_full(dir, 0, path.as_bytes(), oflags, rights::READ, 0)
}

#[test]
fn the_root_can_be_closed_and_replaced_like_any_descriptor() {
    let (_dir, mut guest) = guest();
    guest.mkdir("d").unwrap();
    guest.save("d/f", b"x").unwrap();
    let dir = guest.open_dir("d").unwrap();
    let was = guest.fstat(dir).unwrap();
    guest.raw("fd_renumber", &[Arg::W(dir), Arg::W(3)]).unwrap();
    assert_eq!(guest.fstat(3), Ok(was));
    assert_eq!(guest.fdstat(dir), err(Errno::BADF));
    let file = open_at(&mut guest, 3, "f", 0).unwrap();
    guest.close(3).unwrap();
    assert_eq!(guest.fdstat(3), err(Errno::BADF));
    assert_eq!(guest.read(file, 8), Ok(b"x".to_vec()));
}

#[test]
fn what_is_open_outlives_its_name() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("f", CREATE, rights::BOTH).unwrap();
    guest.unlink("f").unwrap();
    assert_eq!(guest.open("f", 0, rights::READ), err(Errno::NOENT));
    assert_eq!(guest.write(fd, b"still"), Ok(5));
    assert_eq!(guest.fstat(fd).unwrap().nlink, 0);
    // The name is free for another.
    guest.save("f", b"other").unwrap();
    assert_eq!(guest.pread(fd, 9, 0), Ok(b"still".to_vec()));
    guest.mkdir("d").unwrap();
    let dir = guest.open_dir("d").unwrap();
    guest.rmdir("d").unwrap();
    guest.mkdir("d").unwrap();
    one_of(guest.readdir(dir, 4096), &[Errno::NOENT]);
    assert_eq!(guest.close(dir), Ok(()));
    assert_eq!(guest.close(fd), Ok(()));
}

#[test]
fn links_that_are_not_to_be_followed_are_not_opened() {
    let (_dir, mut guest) = guest();
    let check = |guest: &mut Ours, follows: Result<(), Errno>| {
        let refused = [Errno::LOOP, Errno::NOTDIR];
        one_of(open_at(guest, 3, "link", DIRECTORY), &refused);
        one_of(open_at(guest, 3, "link", 0), &[Errno::LOOP]);
        let followed = guest.open("link", DIRECTORY, rights::READ);
        assert_eq!(followed.map(drop), follows.map_err(Errno::raw));
    };
    guest.symlink("target", "link").unwrap();
    check(&mut guest, Err(Errno::NOENT));
    guest.mkdir("target").unwrap();
    check(&mut guest, Ok(()));
    guest.rmdir("target").unwrap();
    guest.save("target", b"").unwrap();
    check(&mut guest, Err(Errno::NOTDIR));
    guest.unlink("link").unwrap();
    guest.symlink("link", "link").unwrap();
    one_of(guest.open("link", 0, rights::READ), &[Errno::LOOP]);
}

#[test]
fn a_directory_is_not_read_written_or_sized_like_a_file() {
    let (_dir, mut guest) = guest();
    guest.mkdir("d").unwrap();
    let fd = guest.open_dir("d").unwrap();
    let refused = [Errno::ISDIR, Errno::BADF, Errno::NOTCAPABLE];
    for dir in [3, fd] {
        one_of(guest.read(dir, 8), &refused);
        one_of(guest.pread(dir, 8, 0), &refused);
        one_of(guest.write(dir, b"x"), &refused);
        one_of(guest.pwrite(dir, b"x", 0), &refused);
        for whence in 0..3 {
            one_of(guest.seek(dir, 0, whence), &refused);
        }
        one_of(guest.tell(dir), &refused);
        let room = [Arg::W(dir), Arg::D(0), Arg::D(1)];
        one_of(guest.raw("fd_allocate", &room), &refused);
        let sized = guest.raw("fd_filestat_set_size", &[Arg::W(dir), Arg::D(0)]);
        one_of(sized, &[Errno::INVAL, Errno::ISDIR, Errno::BADF]);
        let (kind, flags, base, _) = guest.fdstat(dir).unwrap();
        assert_eq!((kind, flags, base & (SEEK | TELL | SET_SIZE)), (3, 0, 0));
    }
}

#[test]
fn the_root_says_its_name_to_who_has_room_for_it() {
    let (_dir, mut guest) = guest();
    guest.raw("fd_prestat_get", &[Arg::W(3), Arg::W(64)]).unwrap();
    assert_eq!(guest.get(64, 8), [0, 0, 0, 0, 1, 0, 0, 0]);
    let mut name = |room| guest.raw("fd_prestat_dir_name", &[Arg::W(3), Arg::W(128), Arg::W(room)]);
    one_of(name(0), &[Errno::INVAL, Errno::NAMETOOLONG]);
    assert_eq!(name(1), Ok(()));
    assert_eq!(name(2), Ok(()));
    assert_eq!(guest.get(128, 1), b"/");
    assert_eq!(guest.raw("fd_prestat_get", &[Arg::W(4), Arg::W(64)]), err(Errno::BADF));
}

#[test]
fn what_the_root_can_do_is_what_libraries_expect_of_a_directory() {
    let (_dir, mut guest) = guest();
    let (_, _, base, inheriting) = guest.fdstat(3).unwrap();
    // create, link, open, list, read links, rename, link, stat, times, symlink, remove.
    let paths: u64 = (9..=18).chain([20, 21, 23, 24, 25, 26]).map(|bit| 1 << bit).sum();
    // datasync, read, seek, flags, sync, tell, write, advise, allocate, size, poll.
    let files: u64 = (0..=8).chain([21, 22, 23, 27]).map(|bit| 1 << bit).sum();
    assert_eq!(base & paths, paths);
    assert_eq!(inheriting & (paths | files), paths | files);
    let mut open = |oflags, wanted| guest.open_full(3, 0, b".", oflags, wanted, 0).map(drop);
    assert_eq!(open(0, base), Ok(()));
    assert_eq!(open(0, 0), Ok(()));
    assert_eq!(open(DIRECTORY, 0), Ok(()));
    assert_eq!(open(DIRECTORY, rights::READ), Ok(()));
    assert_eq!(open(DIRECTORY, rights::BOTH), err(Errno::ISDIR));
}

#[test]
fn appending_is_a_flag_that_can_be_taken_back() {
    let (_dir, mut guest) = guest();
    let fd = guest.open_full(3, 0, b"f", CREATE, rights::BOTH, APPEND).unwrap();
    assert_eq!(guest.write(fd, b"aaaa"), Ok(4));
    guest.seek(fd, 0, 0).unwrap();
    assert_eq!(guest.write(fd, b"bb"), Ok(2));
    // Also where a place is named: Linux's way.
    assert_eq!(guest.pwrite(fd, b"c", 0), Ok(1));
    assert_eq!(guest.cat("f"), Ok(b"aaaabbc".to_vec()));
    guest.raw("fd_fdstat_set_flags", &[Arg::W(fd), Arg::W(0)]).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().1, 0);
    guest.seek(fd, 0, 0).unwrap();
    assert_eq!(guest.write(fd, b"dd"), Ok(2));
    assert_eq!(guest.cat("f"), Ok(b"ddaabbc".to_vec()));
    let sync = guest.open_full(3, 0, b"f", 0, rights::BOTH, APPEND | 16).unwrap();
    // On Linux it is what the two lesser ones are together.
    assert_eq!(guest.fdstat(sync).unwrap().1, APPEND as u16 | 2 | 8 | 16);
}

#[test]
fn a_listing_begins_with_the_dots_and_follows_what_happens() {
    let (_dir, mut guest) = guest();
    guest.mkdir("d").unwrap();
    let fd = guest.open_dir("d").unwrap();
    let ino = guest.fstat(fd).unwrap().ino;
    let names = |guest: &mut Ours| -> Vec<(Vec<u8>, u8, u64)> {
        let entries = guest.readdir(fd, 256).unwrap().into_iter();
        let mut all: Vec<_> = entries.map(|one| (one.name, one.kind, one.ino)).collect();
        all.sort();
        all
    };
    let empty = names(&mut guest);
    assert_eq!(empty.len(), 2);
    assert_eq!(empty[0], (b".".to_vec(), 3, ino));
    assert_eq!((&empty[1].0[..], empty[1].1), (&b".."[..], 3));
    guest.save("d/file", b"").unwrap();
    let file = guest.stat("d/file").unwrap().ino;
    assert_eq!(names(&mut guest)[2], (b"file".to_vec(), 4, file));
    let whole = guest.readdir(fd, 256).unwrap();
    let last = guest.readdir_raw(fd, whole[1].next, 256).unwrap();
    assert_eq!(last.len(), 24 + whole[2].name.len());
    guest.unlink("d/file").unwrap();
    assert_eq!(names(&mut guest), empty);
}

#[test]
fn room_is_made_and_never_taken_by_allocating() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("f", CREATE, rights::BOTH).unwrap();
    for (start, len, size) in [(0, 100, 100), (10, 10, 100), (90, 20, 110)] {
        let args = [Arg::W(fd), Arg::D(start), Arg::D(len)];
        guest.raw("fd_allocate", &args).unwrap();
        assert_eq!(guest.fstat(fd).unwrap().size, size);
    }
    let none = [Arg::W(fd), Arg::D(0), Arg::D(0)];
    assert_eq!(guest.raw("fd_allocate", &none), err(Errno::INVAL));
}

#[test]
fn reading_and_writing_at_a_place_leaves_the_offset_alone() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("f", CREATE, rights::BOTH).unwrap();
    assert_eq!(guest.pwrite(fd, &[0, 1, 2, 3], 0), Ok(4));
    guest.put(65536, &[4, 5, 6]);
    let (list, count) = guest.vectors(&[(65536, 1), (65537, 2)]);
    let args = [Arg::W(fd), list, count, Arg::D(1), Arg::W(64)];
    guest.raw("fd_pwrite", &args).unwrap();
    assert_eq!(guest.out32(), 3);
    let (list, count) = guest.vectors(&[(70000, 2), (70100, 9)]);
    let args = [Arg::W(fd), list, count, Arg::D(0), Arg::W(64)];
    guest.raw("fd_pread", &args).unwrap();
    assert_eq!(guest.out32(), 4);
    assert_eq!((guest.get(70000, 2), guest.get(70100, 2)), (vec![0, 4], vec![5, 6]));
    assert_eq!(guest.pread(fd, 4, 2), Ok(vec![5, 6]));
    assert_eq!(guest.pread(fd, 4, 9), Ok(vec![]));
    assert_eq!(guest.tell(fd), Ok(0));
}

#[test]
fn offsets_may_lie_beyond_the_end_and_never_before_the_start() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("f", CREATE, rights::BOTH).unwrap();
    assert_eq!(guest.tell(fd), Ok(0));
    assert_eq!(guest.seek(fd, 1, 1), Ok(1));
    assert_eq!(guest.seek(fd, 0, 2), Ok(0));
    assert_eq!(guest.write(fd, b"0123456789"), Ok(10));
    assert_eq!(guest.tell(fd), Ok(10));
    assert_eq!(guest.seek(fd, -3, 2), Ok(7));
    assert_eq!(guest.seek(fd, -3, 1), Ok(4));
    assert_eq!(guest.read(fd, 2), Ok(b"45".to_vec()));
    assert_eq!(guest.seek(fd, -2000, 1), err(Errno::INVAL));
    assert_eq!(guest.seek(fd, 100, 0), Ok(100));
    assert_eq!(guest.read(fd, 2), Ok(vec![]));
    assert_eq!(guest.fstat(fd).unwrap().size, 10);
}

#[test]
fn what_one_descriptor_writes_another_reads_at_once() {
    let (_dir, mut guest) = guest();
    let writer = guest.open("f", CREATE, rights::WRITE).unwrap();
    let reader = guest.open("f", 0, rights::READ).unwrap();
    for byte in [1, 2] {
        assert_eq!(guest.write(writer, &[byte]), Ok(1));
        assert_eq!(guest.read(reader, 8), Ok(vec![byte]));
    }
    let again = guest.open("f", CREATE | TRUNCATE, rights::BOTH).unwrap();
    assert_eq!(guest.read(again, 100), Ok(vec![]));
}

#[test]
fn a_time_is_set_or_now_and_not_both() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("f", CREATE, rights::READ).unwrap();
    guest.set_times("f", false, 11, 22, 1 | 4).unwrap();
    for flags in [1 | 2, 4 | 8] {
        let args = [Arg::W(fd), Arg::D(100), Arg::D(200), Arg::W(flags)];
        assert_eq!(guest.raw("fd_filestat_set_times", &args), err(Errno::INVAL));
        assert_eq!(guest.set_times("f", false, 100, 200, flags), err(Errno::INVAL));
    }
    let only_written = [Arg::W(fd), Arg::D(33), Arg::D(44), Arg::W(4)];
    guest.raw("fd_filestat_set_times", &only_written).unwrap();
    let stat = guest.fstat(fd).unwrap();
    assert_eq!((stat.atim, stat.mtim, stat.size), (11, 44, 0));
}

#[test]
fn strange_paths_lead_where_linux_says() {
    let (_dir, mut guest) = guest();
    guest.mkdir("dir").unwrap();
    guest.mkdir("dir/nested").unwrap();
    guest.save("dir/nested/file", b"").unwrap();
    let mut open = |path: &str| open_at(&mut guest, 3, path, 0).map(drop);
    assert_eq!(open("dir/.//nested/../../dir/nested/../nested///./file"), Ok(()));
    one_of(open("dir/nested/file\0"), &[Errno::INVAL, Errno::ILSEQ]);
    for path in ["dir/nested/file/", "dir/nested/file///"] {
        one_of(open(path), &[Errno::NOTDIR]);
    }
    for path in ["dir/nested/", "dir/nested///"] {
        assert_eq!(open(path), Ok(()));
    }
}

#[test]
fn only_a_terminal_is_one() {
    let (_dir, mut guest) = guest();
    let fd = guest.open("f", CREATE, rights::BOTH).unwrap();
    // What libraries take for a terminal: a character device without an offset.
    let is_terminal = |guest: &mut Ours, fd| {
        let (kind, _, base, _) = guest.fdstat(fd).unwrap();
        kind == 2 && base & (SEEK | TELL) == 0
    };
    assert!(!is_terminal(&mut guest, fd));
    let (reader, writer) = std::io::pipe().unwrap();
    guest.give(0, std::os::fd::OwnedFd::from(reader));
    guest.give(1, std::os::fd::OwnedFd::from(writer));
    assert!(!is_terminal(&mut guest, 0) && !is_terminal(&mut guest, 1));
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let master = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    guest.give(2, rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap());
    assert!(is_terminal(&mut guest, 2));
}

#[test]
fn a_path_is_there_or_not_as_what_it_is() {
    let (_dir, mut guest) = guest();
    guest.mkdir("d").unwrap();
    guest.save("f", b"12345").unwrap();
    guest.symlink("f", "l").unwrap();
    guest.symlink("none", "dangling").unwrap();
    let mut look = |path: &str, follow| {
        let stat = guest.stat_at(3, path.as_bytes(), follow);
        stat.map(|stat| (stat.kind, stat.size))
    };
    assert_eq!(look("d", true).unwrap().0, 3);
    assert_eq!(look("f", true), Ok((4, 5)));
    assert_eq!(look("l", true), Ok((4, 5)));
    assert_eq!(look("l", false), Ok((7, 1)));
    assert_eq!(look("dangling", false), Ok((7, 4)));
    for (path, follow) in [("none", true), ("none", false), ("dangling", true)] {
        assert_eq!(look(path, follow), err(Errno::NOENT), "{path}");
    }
}

#[test]
fn two_names_of_a_file_are_the_same_file() {
    let (_dir, mut guest) = guest();
    guest.save("file", b"x").unwrap();
    guest.mkdir("sub").unwrap();
    for name in ["link", "sub/link"] {
        guest.link(false, "file", name).unwrap();
        let (one, two) = (guest.open("file", 0, rights::READ), guest.open(name, 0, rights::READ));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(guest.fstat(one), guest.fstat(two));
        assert_eq!(guest.fdstat(one), guest.fdstat(two));
        guest.unlink(name).unwrap();
    }
    assert_eq!(guest.link(false, "file", "file"), err(Errno::EXIST));
    assert_eq!(guest.link(false, "file", "sub"), err(Errno::EXIST));
    assert_eq!(guest.link(false, "file", "link/"), err(Errno::NOENT));
    one_of(guest.link(false, "sub", "link"), &[Errno::PERM, Errno::ACCES]);
    for target in ["none", "sym"] {
        guest.symlink(target, "sym").unwrap();
        guest.link(false, "sym", "link").unwrap();
        assert_eq!(guest.lstat("link").unwrap().kind, 7);
        assert_eq!(guest.link(false, "file", "sym"), err(Errno::EXIST));
        one_of(guest.link(true, "sym", "other"), &[Errno::NOENT, Errno::LOOP]);
        guest.unlink("link").unwrap();
        guest.unlink("sym").unwrap();
    }
}

#[test]
fn a_starting_point_must_be_a_directory() {
    let (_dir, mut guest) = guest();
    let file = guest.open("f", CREATE, rights::BOTH).unwrap();
    one_of(open_at(&mut guest, file, "x", 0), &[Errno::NOTDIR]);
    one_of(open_at(&mut guest, file, "x", CREATE), &[Errno::NOTDIR]);
    one_of(open_at(&mut guest, 50, "x", 0), &[Errno::BADF]);
}

#[test]
fn nonblocking_is_asked_for_and_shown() {
    let (_dir, mut guest) = guest();
    let open = guest.open_full(3, 0, b"f", CREATE, rights::BOTH, NONBLOCK);
    assert_eq!(guest.fdstat(open.unwrap()).unwrap().1, NONBLOCK as u16);
}

#[test]
fn a_descriptor_has_the_rights_it_was_opened_with() {
    let (_dir, mut guest) = guest();
    guest.save("f", b"").unwrap();
    let refused = [Errno::BADF, Errno::NOTCAPABLE];
    for (wanted, reads, writes) in [
        (rights::READ, true, false),
        (rights::WRITE, false, true),
        (rights::BOTH, true, true),
    ] {
        let fd = guest.open("f", 0, wanted).unwrap();
        let base = guest.fdstat(fd).unwrap().2;
        assert_eq!(base & rights::BOTH, wanted & rights::BOTH);
        match guest.read(fd, 4) {
            Ok(_) => assert!(reads),
            other => one_of(other, if reads { &[] } else { &refused }),
        }
        match guest.write(fd, b"") {
            Ok(_) => assert!(writes),
            other => one_of(other, if writes { &[] } else { &refused }),
        }
    }
}

#[test]
fn renaming_replaces_what_is_like_it_and_nothing_else() {
    let (_dir, mut guest) = guest();
    guest.mkdir("source").unwrap();
    guest.rename("source", "target").unwrap();
    assert_eq!(guest.stat("source"), err(Errno::NOENT));
    guest.mkdir("source").unwrap();
    guest.rename("source/", "target/").unwrap();
    guest.mkdir("source").unwrap();
    guest.save("target/file", b"").unwrap();
    assert_eq!(guest.rename("source", "target"), err(Errno::NOTEMPTY));
    assert_eq!(guest.rename("source", "target/file"), err(Errno::NOTDIR));
    guest.save("a", b"a").unwrap();
    guest.save("b", b"b").unwrap();
    guest.rename("a", "b").unwrap();
    assert_eq!((guest.cat("b"), guest.stat("a")), (Ok(b"a".to_vec()), err(Errno::NOENT)));
    assert_eq!(guest.rename("b", "source"), err(Errno::ISDIR));
    for (from, to) in [("b/", "c"), ("b", "c/"), ("b/", "c/")] {
        assert_eq!(guest.rename(from, to), err(Errno::NOTDIR), "{from} {to}");
    }
}

#[test]
fn a_new_links_name_has_no_slash_behind() {
    let (_dir, mut guest) = guest();
    assert_eq!(guest.symlink("source", "target/"), err(Errno::NOENT));
    guest.mkdir("target").unwrap();
    for name in ["target/", "target"] {
        assert_eq!(guest.symlink("source", name), err(Errno::EXIST));
    }
    guest.rmdir("target").unwrap();
    guest.save("target", b"").unwrap();
    one_of(guest.symlink("source", "target/"), &[Errno::NOTDIR, Errno::EXIST]);
    assert_eq!(guest.symlink("source", "target"), err(Errno::EXIST));
}

#[test]
fn reading_a_link_touches_no_more_than_it_fills() {
    let (_dir, mut guest) = guest();
    guest.symlink("target", "link").unwrap();
    guest.put(65536, &[9; 10]);
    assert_eq!(guest.readlink("link", 10), Ok(b"target".to_vec()));
    assert_eq!(guest.get(65542, 4), [9; 4]);
    assert_eq!(guest.readlink("link", 4), Ok(b"targ".to_vec()));
    assert_eq!(guest.readlink("link", 0), Ok(vec![]));
}

#[test]
fn removing_asks_for_the_right_kind_and_minds_slashes() {
    let (_dir, mut guest) = guest();
    guest.mkdir("d").unwrap();
    one_of(guest.unlink("d"), &[Errno::ISDIR, Errno::PERM]);
    one_of(guest.unlink("d/"), &[Errno::ISDIR, Errno::PERM, Errno::NOTDIR]);
    guest.mkdir("d/inside").unwrap();
    assert_eq!(guest.rmdir("d"), err(Errno::NOTEMPTY));
    guest.rmdir("d/inside").unwrap();
    guest.rmdir("d/").unwrap();
    guest.save("f", b"").unwrap();
    for name in ["f", "f/"] {
        assert_eq!(guest.rmdir(name), err(Errno::NOTDIR));
    }
    assert_eq!(guest.unlink("f/"), err(Errno::NOTDIR));
    assert_eq!(guest.unlink("f"), Ok(()));
    assert_eq!(guest.unlink("f"), err(Errno::NOENT));
}

#[test]
fn a_descriptor_moves_with_all_that_belongs_to_it() {
    let (_dir, mut guest) = guest();
    guest.save("one", b"1").unwrap();
    guest.save("two", b"2").unwrap();
    let (one, two) = (guest.open("one", 0, rights::READ), guest.open("two", 0, rights::BOTH));
    let (one, two) = (one.unwrap(), two.unwrap());
    let was = guest.fdstat(one).unwrap();
    guest.raw("fd_renumber", &[Arg::W(one), Arg::W(two)]).unwrap();
    assert_eq!(guest.close(one), err(Errno::BADF));
    assert_eq!(guest.fdstat(two), Ok(was));
    assert_eq!(guest.read(two, 4), Ok(b"1".to_vec()));
    // Standard streams too.
    for stream in 0..3 {
        guest.fdstat(stream).unwrap();
        let copy = guest.open("two", 0, rights::READ).unwrap();
        guest.raw("fd_renumber", &[Arg::W(copy), Arg::W(stream)]).unwrap();
        assert_eq!(guest.read(stream, 4), Ok(b"2".to_vec()));
    }
}

#[test]
fn emptying_a_file_by_its_name_is_a_right() {
    let (_dir, mut guest) = guest();
    guest.mkdir("d").unwrap();
    guest.save("d/f", b"full").unwrap();
    let (_, _, base, inheriting) = guest.fdstat(3).unwrap();
    let dir = guest.open_full(3, 0, b"d", DIRECTORY, base, 0).unwrap();
    let had = guest.fdstat(dir).unwrap().2;
    assert_ne!(had & PATH_SET_SIZE, 0);
    let truncate = |guest: &mut Ours| guest.open_full(dir, 0, b"f", TRUNCATE, rights::WRITE, 0);
    truncate(&mut guest).unwrap();
    assert_eq!(guest.stat("d/f").unwrap().size, 0);
    set_rights(&mut guest, dir, had, inheriting & 0x3fff_ffff & !SET_SIZE).unwrap();
    truncate(&mut guest).unwrap();
    set_rights(&mut guest, dir, had & !PATH_SET_SIZE, inheriting & 0x3fff_ffff & !SET_SIZE).unwrap();
    one_of(truncate(&mut guest), &[Errno::NOTCAPABLE]);
    let create = |guest: &mut Ours| guest.open_full(dir, 0, b"new", CREATE, rights::WRITE, 0);
    create(&mut guest).unwrap();
    set_rights(&mut guest, dir, had & !PATH_SET_SIZE & !CREATE_FILE, 0).unwrap();
    one_of(create(&mut guest), &[Errno::NOTCAPABLE]);
}

#[test]
fn clocks_go_forward_and_chance_fills_what_is_asked() {
    let (_dir, mut guest) = guest();
    let mut last = 0;
    for clock in [0, 1, 1, 1] {
        guest.raw("clock_res_get", &[Arg::W(clock), Arg::W(64)]).unwrap();
        assert!((1..=1_000_000_000).contains(&guest.out64()));
        guest.raw("clock_time_get", &[Arg::W(clock), Arg::D(0), Arg::W(64)]).unwrap();
        let now = guest.out64();
        assert!(now > 0);
        if clock == 1 {
            assert!(now >= last);
            last = now;
        }
    }
    let unknown = [Arg::W(9), Arg::D(0), Arg::W(64)];
    one_of(guest.raw("clock_time_get", &unknown), &[Errno::INVAL]);
    guest.put(65536, &[0; 1000]);
    guest.raw("random_get", &[Arg::W(65536), Arg::W(0)]).unwrap();
    assert_eq!(guest.get(65536, 1000), [0; 1000]);
    guest.raw("random_get", &[Arg::W(65536), Arg::W(1000)]).unwrap();
    let (first, second) = (guest.get(65536, 500), guest.get(66036, 500));
    assert_ne!(first, second);
    guest.raw("random_get", &[Arg::W(65536), Arg::W(1 << 20)]).unwrap();
    guest.raw("sched_yield", &[]).unwrap();
}

#[test]
fn only_sockets_are_shut_down_and_only_what_is_open_is_written() {
    let (_dir, mut guest) = guest();
    let file = guest.open("f", CREATE, rights::BOTH).unwrap();
    for (fd, errno) in [(50, Errno::BADF), (1, Errno::NOTSOCK), (file, Errno::NOTSOCK)] {
        let shut = guest.raw("sock_shutdown", &[Arg::W(fd), Arg::W(1)]);
        assert_eq!(shut, err(errno), "{fd}");
    }
    assert_eq!(guest.write(50, b"x"), err(Errno::BADF));
    assert_eq!(guest.write(u32::MAX, b"x"), err(Errno::BADF));
    assert_eq!(guest.write(1, b"x"), Ok(1));
}

#[test]
fn descriptors_come_back_however_often_they_are_used() {
    let (_dir, mut guest) = guest();
    guest.save("f", b"").unwrap();
    let first = guest.open("f", 0, rights::READ).unwrap();
    guest.close(first).unwrap();
    for _ in 0..2000 {
        let fd = guest.open("f", 0, rights::READ).unwrap();
        assert_eq!(fd, first);
        guest.close(fd).unwrap();
    }
}

#[test]
fn polling_says_what_is_ready_and_tells_errors_one_by_one() {
    let (_dir, mut guest) = guest();
    let (reader, mut writer) = std::io::pipe().unwrap();
    guest.give(0, std::os::fd::OwnedFd::from(reader));
    let file = guest.open("f", CREATE, rights::BOTH).unwrap();
    // Each subscription: its number, the kind, the descriptor or a relative time.
    let poll = |guest: &mut Ours, list: &[(u64, u8, u64)]| -> Vec<(u64, u16, u8)> {
        for (at, (userdata, kind, what)) in list.iter().enumerate() {
            let mut raw = [0u8; 48];
            raw[..8].copy_from_slice(&userdata.to_le_bytes());
            raw[8] = *kind;
            match kind {
                0 => {
                    raw[16] = 1;
                    raw[24..32].copy_from_slice(&what.to_le_bytes());
                }
                _ => raw[16..20].copy_from_slice(&(*what as u32).to_le_bytes()),
            }
            guest.put(8192 + at as u32 * 48, &raw);
        }
        let count = list.len() as u32;
        let args = [Arg::W(8192), Arg::W(12288), Arg::W(count), Arg::W(64)];
        guest.raw("poll_oneoff", &args).unwrap();
        let mut events: Vec<_> = (0..guest.out32())
            .map(|at| {
                let raw = guest.get(12288 + at * 32, 32);
                let userdata = u64::from_le_bytes(raw[..8].try_into().unwrap());
                (userdata, u16::from_le_bytes([raw[8], raw[9]]), raw[10])
            })
            .collect();
        events.sort_unstable();
        events
    };
    const CLOCK: u8 = 0;
    const READ: u8 = 1;
    const WRITE: u8 = 2;
    // Nothing to read yet: the time comes first; with something to read, that does.
    let wait = [(7, READ, 0), (8, CLOCK, 2_000_000)];
    assert_eq!(poll(&mut guest, &wait), [(8, 0, CLOCK)]);
    std::io::Write::write_all(&mut writer, b"x").unwrap();
    let wait = [(7, READ, 0), (8, CLOCK, 60_000_000_000)];
    assert_eq!(poll(&mut guest, &wait), [(7, 0, READ)]);
    let wait = [(1, WRITE, 1), (2, WRITE, 2), (3, CLOCK, 60_000_000_000)];
    assert_eq!(poll(&mut guest, &wait), [(1, 0, WRITE), (2, 0, WRITE)]);
    let file = u64::from(file);
    assert_eq!(
        poll(&mut guest, &[(5, READ, file), (6, WRITE, file), (9, READ, 50)]),
        [(5, 0, READ), (6, 0, WRITE), (9, Errno::BADF.raw(), READ)]
    );
}

#[test]
fn arguments_and_variables_arrive_whole_however_many() {
    let (_dir, mut guest) = guest();
    let lists: [&[&str]; 3] = [&[], &["first"], &["first", "the second argument", "", "3"]];
    for (kind, list) in ["args", "environ"].into_iter().flat_map(|kind| lists.map(|list| (kind, list))) {
        let owned: Vec<Vec<u8>> = list.iter().map(|text| text.as_bytes().to_vec()).collect();
        match kind {
            "args" => guest.state().argv = owned,
            _ => guest.state().env = owned,
        }
        let sizes = format!("{kind}_sizes_get");
        guest.raw(&sizes, &[Arg::W(64), Arg::W(68)]).unwrap();
        let bytes: u32 = list.iter().map(|text| text.len() as u32 + 1).sum();
        let head = [(list.len() as u32).to_le_bytes(), bytes.to_le_bytes()].concat();
        assert_eq!(guest.get(64, 8), head, "{kind} {list:?}");
        guest.raw(&format!("{kind}_get"), &[Arg::W(8192), Arg::W(65536)]).unwrap();
        let mut at = 65536;
        for (number, text) in list.iter().enumerate() {
            assert_eq!(guest.get(8192 + number as u32 * 4, 4), u32::to_le_bytes(at));
            let len = text.len() as u32 + 1;
            assert_eq!(guest.get(at, len), [text.as_bytes(), b"\0"].concat());
            at += len;
        }
    }
}
