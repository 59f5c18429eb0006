//! The images: [`GUEST`], a signed megabinary, and [`NATIVE`], native programs that do the same at
//! the same paths, for a runtime that runs such. Any recipe makes one more ([`image`]).

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::{Podman, Room};
use crate::command::run;
use crate::node::megabin;
use crate::subject;

/// The image of a megabinary.
pub const GUEST: &str = "localhost/guest:1";
/// The image of native programs.
pub const NATIVE: &str = "localhost/native:1";

/// Names of busybox and toybox alike.
const TOOLS: [&str; 12] = [
    "cat", "echo", "env", "false", "ls", "sleep", "sort", "touch", "true", "wc", "printf", "head",
];

/// Ends with the code that its argument says.
const EXIT: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $at i32) (local $code i32)
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $args (i32.const 16) (i32.const 1024)))
        (local.set $at (i32.load (i32.const 20)))
        (loop $next
            (if (i32.eqz (i32.load8_u (local.get $at))) (then (call $exit (local.get $code))))
            (local.set $code (i32.add
                (i32.mul (local.get $code) (i32.const 10))
                (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next))))"#;

/// Takes a megabyte after the other, and writes to it, until it is killed.
const HOG: &str = r#"(module (memory (export "memory") 1)
    (func (export "_start") (local $page i32)
        (loop $next
            (local.set $page (memory.grow (i32.const 16)))
            (if (i32.lt_s (local.get $page) (i32.const 0)) (then unreachable))
            (memory.fill (i32.shl (local.get $page) (i32.const 16)) (i32.const 7) (i32.const 1048576))
            (br $next))))"#;

/// Says that it ignores SIGTERM, does so, and sleeps.
const STUBBORN: &str = r#"(module
    (import "vkernel" "sigaction" (func $sigaction (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    ;; An action: ignore.
    (data (i32.const 48) "\01")
    (data (i32.const 16) "\20\00\00\00\05\00\00\00")
    (data (i32.const 32) "deaf\n")
    (func (export "_start")
        (if (call $sigaction (i32.const 15) (i32.const 48) (i32.const 0)) (then unreachable))
        (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
        ;; A thousand seconds of the clock that only goes forward.
        (i32.store (i32.const 80) (i32.const 1))
        (i64.store (i32.const 88) (i64.const 1000000000000))
        (loop $again
            (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 24)))
            (br $again))))"#;

/// Makes both and loads them into podman.
///
/// # Panics
///
/// When a guest or busybox is not there.
pub fn make(room: &Room) {
    guest(room);
    native(room);
    let podman = Podman::new(room, "megarun");
    let archive = room.path("images/guest.tar");
    podman
        .run(&["load", "-i", &archive.to_string_lossy()])
        .success();
    let tar = room.path("images/native.tar");
    podman
        .run(&["import", &tar.to_string_lossy(), NATIVE])
        .success();
}

fn guest(room: &Room) {
    let dir = room.path("images");
    let toybox = subject::guests().join(".cache/wasm/toybox.wasm");
    fs::copy(&toybox, dir.join("toybox.wasm"))
        .unwrap_or_else(|error| panic!("{}: {error}; run `make test`", toybox.display()));
    let links: Vec<String> = TOOLS[1..]
        .iter()
        .map(|name| format!("\"/bin/{name}\""))
        .collect();
    let mut recipe = format!(
        "name = \"guest\"\nversion = \"1.0\"\n[rootfs]\ncopy = [\"root\"]\n\
         [[binary]]\npath = \"/bin/cat\"\nmodule = \"toybox.wasm\"\nlinks = [{}]\n",
        links.join(", ")
    );
    for (name, text) in [("exit", EXIT), ("hog", HOG), ("stubborn", STUBBORN)] {
        let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        fs::write(dir.join(format!("{name}.wasm")), wasm).expect("writing a guest");
        recipe += &format!("[[binary]]\npath = \"/bin/{name}\"\nmodule = \"{name}.wasm\"\n");
    }
    fs::write(dir.join("recipe.toml"), recipe).expect("writing the recipe");
    data(&dir.join("root"));
    let keys = dir.join("keys");
    megabin(&["keygen", "--key-id", "test", "--out"], &[&keys]).success();
    fs::copy(keys.join("test.pem"), room.path("trust/test.pem")).expect("trusting the key");
    archive(room, &dir.join("recipe.toml"), "built", GUEST, "guest.tar");
}

/// Builds and signs what a recipe says: the built folder and the archive of the image, below `images/`.
fn archive(room: &Room, recipe: &Path, built: &str, tag: &str, archive: &str) {
    let dir = room.path("images");
    let (key, built) = (dir.join("keys/test.key"), dir.join(built));
    megabin(
        &["build", "--key"],
        &[&key, recipe, Path::new("-o"), &built],
    )
    .success();
    megabin(
        &["image", "--tag", tag, "-o"],
        &[&dir.join(archive), &built],
    )
    .success();
}

/// Makes an image of `recipe`, loads it into podman, and gives its tag.
///
/// # Panics
///
/// When a guest is not there.
pub fn image(room: &Room, recipe: &Path, name: &str) -> String {
    let tag = format!("localhost/{name}:1");
    let file = format!("{name}.tar");
    archive(room, recipe, &format!("built-{name}"), &tag, &file);
    let file = room.path("images").join(file);
    Podman::new(room, "megarun")
        .run(&["load", "-i", &file.to_string_lossy()])
        .success();
    tag
}

/// What both images have besides their programs.
fn data(root: &Path) {
    for name in ["bin", "data", "etc", "tmp"] {
        fs::create_dir_all(root.join(name)).expect("a directory of our own");
    }
    fs::write(root.join("data/word"), "moon\n").expect("writing a file");
    let sticky = fs::Permissions::from_mode(0o1777);
    fs::set_permissions(root.join("tmp"), sticky).expect("setting a mode");
}

fn native(room: &Room) {
    let root = room.path("images/native");
    data(&root);
    let busybox = Path::new("/bin/busybox");
    fs::copy(busybox, root.join("bin/busybox"))
        .unwrap_or_else(|error| panic!("/bin/busybox: {error}; run `scripts/setup.sh test`"));
    for name in TOOLS.into_iter().chain(["sh"]) {
        symlink("busybox", root.join("bin").join(name)).expect("making a link");
    }
    for (name, script) in [
        ("exit", "exit $1"),
        ("hog", "x=moon\nwhile :; do x=$x$x; done"),
    ] {
        let path = root.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("writing a script");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&path, executable).expect("setting a mode");
    }
    let mut tar = Command::new("tar");
    tar.arg("-C")
        .arg(&root)
        .arg("-cf")
        .arg(room.path("images/native.tar"))
        .arg(".");
    run(&mut tar).success();
}
