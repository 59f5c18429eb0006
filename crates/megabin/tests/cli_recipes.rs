//! What `megabin build` refuses, says and never harms.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::bench::{Bench, RECIPE};

#[test]
fn recipes_that_contradict_themselves_are_refused() {
    let bench = Bench::new();
    let head = "name = \"t\"\nversion = \"1\"\n";
    let one = "[[binary]]\npath = \"/one\"\nmodule = \"one.wasm\"\n";
    let fails = |body: &str, parts: &[&str]| bench.recipe_fails(&format!("{head}{body}"), parts);
    fails(
        &format!("{one}syscals = []\n"),
        &["bad.toml", "syscals", "unknown field"],
    );
    fails(&format!("colour = 1\n{one}"), &["colour"]);
    fails("", &["nothing to build"]);
    fails(
        &format!("{one}syscalls = [\"raed\"]\n"),
        &["binary /one: syscalls", "raed"],
    );
    fails(&format!("{one}{one}"), &["/one is used twice"]);
    fails(
        &format!("{one}links = [\"/one\"]\n"),
        &["/one is used twice"],
    );
    fails(
        &format!("{one}links = [\"one\"]\n"),
        &["binary /one: links"],
    );
    fails(
        &format!("{one}keep = \"all\"\n"),
        &["\"ticket\" or \"original\""],
    );
    fails(&format!("{one}exec = [\"/two\"]\n"), &["`exec` names /two"]);
    fails(
        "[[binary]]\npath = \"/s\"\nfile = \"report\"\n",
        &["needs an `interpreter`"],
    );
    fails("[[binary]]\npath = \"/s\"\n", &["say what runs"]);
    fails(
        "[[binary]]\npath = \"/../s\"\nmodule = \"one.wasm\"\n",
        &["binary /../s: path"],
    );
    let script = "[[binary]]\npath = \"/s\"\nfile = \"report\"\ninterpreter = \"/one\"\n";
    fails(script, &["`interpreter` names /one"]);
    let nested = "[[binary]]\npath = \"/t\"\nfile = \"report\"\ninterpreter = \"/s\"\n";
    fails(&format!("{one}{script}{nested}"), &["itself a script"]);
    fails(
        &format!("{one}[policies]\nnetworking = \"all\"\n"),
        &["policies.networking", "\"host\""],
    );
    fails(
        &format!("{one}[policies]\nexec = \"some\"\n"),
        &["policies.exec"],
    );
    let tool = "[[agent_tool]]\nname = \"t\"\nbinary = \"/one\"\n";
    fails(&format!("{one}{tool}{tool}"), &["agent_tool t", "twice"]);
    fails(&format!("{one}{tool}args = []\n"), &["set them there"]);
    fails(tool, &["`binary` names /one"]);
    let other = "[[agent_tool]]\nname = \"u\"\nbinary = \"/one\"\n";
    fails(&format!("{one}{tool}{other}"), &["run the same file"]);
    fails(
        "[[binary]]\npath = \"/x\"\nmodule = \"missing.wasm\"\n",
        &["missing.wasm"],
    );
    fails(
        "[[binary]]\npath = \"/x\"\nmodule = \"report\"\n",
        &["not a WebAssembly module"],
    );
    fails(
        "[[binary]]\npath = \"/x\"\nmodule = \"root\"\n",
        &["not a regular file"],
    );
    let original = |path: &str| {
        format!("[[binary]]\npath = \"{path}\"\nmodule = \"one.wasm\"\nkeep = \"original\"\n")
    };
    fails(
        &format!("{}{}", original("/a"), original("/b")),
        &["/a and /b have the same bytes"],
    );
    let same_name = "[[binary]]\npath = \"/two/one\"\nmodule = \"two.wasm\"\n";
    fails(
        &format!("{one}{same_name}"),
        &["two programs are called `one`", "`name`"],
    );
    fails(
        &format!("{one}[rootfs]\ncopy = [\"nowhere\"]\n"),
        &["nowhere"],
    );
    bench.recipe_fails(&format!("name = \"t\"\n{one}"), &["version"]);
    bench.recipe_fails("name = [", &["bad.toml"]);
    bench.fails("build none.toml -o bad", &["reading the recipe none.toml"]);
}

#[test]
fn what_an_author_should_know_is_said() {
    let bench = Bench::new();
    bench.file("report", b"#!/usr/bin/perl\n");
    let recipe = RECIPE.replace(
        "[rootfs]",
        "[policies]\ndefault_syscalls = [\"socket\"]\n[rootfs]",
    );
    bench.file("recipe.toml", recipe.as_bytes());
    fs::create_dir_all(bench.path("root/usr/bin")).unwrap();
    bench.file("root/usr/bin/one", b"native");
    let text = bench.ok("build recipe.toml -o out");
    assert!(
        text.contains("warning: binary /usr/bin/report: its first line names"),
        "{text}"
    );
    assert!(
        text.contains("default_syscalls gives /usr/bin/one more than it needs: socket"),
        "{text}"
    );
    assert!(text.contains("/usr/bin/one replaces a file"), "{text}");
    assert!(!text.contains("in no [[binary]]"), "{text}");
    // Executable files that no manifest knows, and a function that no policy allows.
    bench.file("root/usr/bin/stray", b"#!/bin/sh\n");
    fs::set_permissions(
        bench.path("root/usr/bin/stray"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let narrow = RECIPE.replace("args = [\"-u\"]", "syscalls = []");
    bench.file("recipe.toml", narrow.as_bytes());
    let text = bench.ok("build recipe.toml -o out");
    for part in [
        "warning: binary /usr/bin/two imports what its rights never permit",
        "fd_read (`syscalls` that permit it: read)",
        "in no [[binary]], so that executing it is refused: /usr/bin/stray",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn an_output_folder_is_never_harmed() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("mine/rootfs")).unwrap();
    bench.file("mine/rootfs/precious", b"x");
    bench.fails(
        "build recipe.toml -o mine",
        &["mine/rootfs", "no container.wasm beside it"],
    );
    assert!(bench.path("mine/rootfs/precious").exists());
    // A recipe that copies the very folder it would replace.
    fs::rename(bench.path("root"), bench.path("rootfs")).unwrap();
    bench.file(
        "recipe.toml",
        RECIPE.replace("\"root\"", "\"rootfs\"").as_bytes(),
    );
    bench.file("container.wasm", b"");
    bench.fails("build recipe.toml -o .", &["is copied by the recipe"]);
    assert!(bench.path("rootfs/etc/motd").exists());
}

#[test]
fn a_build_that_dies_leaves_the_earlier_one_or_none() {
    let bench = Bench::built();
    let before = fs::read(bench.path("out/manifest.json")).unwrap();
    bench.file("root/big", &vec![1; 1 << 20]);
    // A file larger than the limit kills the process in the middle of writing.
    let killed = Command::new("sh")
        .args(["-c", "ulimit -f 64; exec \"$0\" build recipe.toml -o out"])
        .arg(env!("CARGO_BIN_EXE_megabin"))
        .current_dir(bench.dir.path())
        .output()
        .unwrap();
    assert!(!killed.status.success());
    assert_eq!(fs::read(bench.path("out/manifest.json")).unwrap(), before);
    bench.ok("verify out --trust keys");
    bench.ok("build recipe.toml -o out --key keys/demo.key");
    let names = fs::read_dir(bench.path("out")).unwrap().count();
    assert_eq!(names, 3, "the leftovers of the dead build are gone");
}

#[test]
fn links_in_copied_folders_never_lead_out() {
    let bench = Bench::new();
    let outside = bench.path("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, bench.path("root/usr")).unwrap();
    std::os::unix::fs::symlink("../../../../../../tmp", bench.path("root/bin")).unwrap();
    let output = bench.run("build recipe.toml -o out");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!Path::new("/tmp/one").exists());
    // Inside the root the link's target does not exist, and nothing is made through it.
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_image_with_linked_folders_gets_no_looping_link() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("root/usr/bin")).unwrap();
    std::os::unix::fs::symlink("usr/bin", bench.path("root/bin")).unwrap();
    bench.ok("build recipe.toml -o out");
    let one = bench.path("out/rootfs/usr/bin/one");
    assert!(
        one.symlink_metadata().unwrap().is_file(),
        "/bin/one is /usr/bin/one already"
    );
    assert!(
        fs::read(one)
            .unwrap()
            .starts_with(b"#!megabinary /usr/bin/one ")
    );
}

#[test]
fn a_base_needs_libraries_and_programs_that_stand_on_it() {
    let bench = Bench::new();
    bench.file("libc.a", b"!<arch>\n");
    let recipe = |base: &str, entry: &str| {
        format!(
            "name = \"x\"\nversion = \"1\"\n{base}\n[[binary]]\npath = \"/bin/one\"\n\
             module = \"one.wasm\"\n{entry}\n"
        )
    };
    let libraries = "[base]\nlibraries = [\"libc.a\"]";
    let stands = "base = true";
    bench.recipe_fails(&recipe("", stands), &["[base] libraries"]);
    bench.recipe_fails(&recipe(libraries, ""), &["base = true", "--emit-relocs"]);
    // What clang links without being asked has no relocations.
    let parts = ["one.wasm", "no relocations", "-Wl,--emit-relocs"];
    bench.recipe_fails(&recipe(libraries, stands), &parts);
    let missing = libraries.replace("libc.a", "libm.a");
    bench.recipe_fails(&recipe(&missing, stands), &["libm.a"]);
    let script = "[[binary]]\npath = \"/bin/s\"\nfile = \"report\"\n\
                  interpreter = \"/bin/one\"\nbase = true\n";
    let parts = ["a script has no code to lay"];
    bench.recipe_fails(&(recipe(libraries, stands) + script), &parts);
}
