//! The base layer: programs linked with relocations against one library behave as before, have the
//! library once, and gain nothing by it; whatever their files say, nothing panics.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::Path;
use std::process::Command;

use megabin::link::base::{Library, Standing, lay};
use megabin::link::{Folding, link};
use support::{Setup, engine, link_folded, request, run_linked, run_original};

/// Data of every kind, functions that call each other, the caller's and through pointers.
const LIBRARY: &str = r#"
typedef int (*step)(int);
int calls;
static int hidden[40];
static const int primes[6] = {2, 3, 5, 7, 11, 13};
static int twice(int x) { calls++; return 2 * x; }
static int square(int x) { calls++; return x * x; }
static const step steps[2] = {twice, square};
const char *const words[3] = {"first", "second", "third"};
step chosen = square;
__attribute__((weak)) int flavour(int x) { return x + 1; }
__attribute__((noinline)) int fold(const int *from, int count, step then) {
  int sum = 0;
  for (int i = 0; i < count; i++) sum += then(from[i]) + primes[i % 6];
  hidden[count % 40] += sum;
  return sum + hidden[count % 40] + calls;
}
__attribute__((noinline)) int tell(int n) { return hidden[n % 40] + words[n % 3][2] + calls; }
__attribute__((noinline)) int walk(int n) {
  return tell(n) + steps[n & 1](n) + chosen(n) + words[n % 3][1] + flavour(n) + fold(primes, 6, twice);
}
"#;

const FIRST: &str = r#"
typedef int (*step)(int);
extern int calls, walk(int), fold(const int *, int, step);
extern step chosen;
extern const char *const words[3];
_Noreturn void leave(int) __attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit")));
static int own_data[3] = {1, 20, 300};
static char zeros[5000];
static int secret(int x) { leave(77); }
step kept = secret;
static int half(int x) { return x / 2; }
void _start(void) {
  int sum = fold(own_data, 3, half) + walk(3) + calls + words[2][0] + zeros[4999];
  zeros[17] = 1;
  leave((sum + chosen(4)) & 63);
}
"#;

const SECOND: &str = r#"
typedef int (*step)(int);
extern int calls, walk(int), fold(const int *, int, step);
extern step chosen;
_Noreturn void leave(int) __attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit")));
int flavour(int x) { return 10 * x; } // in place of the library's
static double more[100] = {1.5, 2.5};
volatile int forged = FORGED;
static int third(int x) { return x / 3; }
static int fourth(int x) { return x / 4 + (int)more[1]; }
void _start(void) {
  chosen = third;
  if (forged) leave(((step)forged)(5) & 63);
  int sum = fold((int[]){9, 8, 7, 6}, 4, fourth) + walk(2) + calls;
  leave(sum & 63);
}
"#;

const RELOCS: &str = "-Wl,--emit-relocs";

/// Compiles C for wasm32, without any library but those in `flags`.
fn cc(dir: &Path, name: &str, source: &str, flags: &[&str]) -> Vec<u8> {
    let (input, output) = (dir.join(format!("{name}.c")), dir.join(name));
    std::fs::write(&input, source).unwrap();
    let mut clang = Command::new("clang-22");
    clang.args([
        "--target=wasm32",
        "-O1",
        "-nostdlib",
        "-ffreestanding",
        "-fdata-sections",
    ]);
    clang
        .args(["-Wno-everything", "-o"])
        .arg(&output)
        .arg(&input)
        .args(flags);
    let made = clang.output().expect("clang-22: run scripts/setup.sh test");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    std::fs::read(output).unwrap()
}

/// The library, as an archive with one object.
fn library(dir: &Path, source: &str) -> Library {
    let object = cc(dir, "library.o", source, &["-c"]);
    let bytes = format!(
        "!<arch>\n{:<16}{:<32}{:<10}`\n",
        "library.o/",
        "0",
        object.len()
    );
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(&object);
    Library {
        origin: "library.a".to_owned(),
        bytes,
    }
}

fn program(dir: &Path, name: &str, source: &str, flags: &[&str]) -> Vec<u8> {
    let object = dir.join("library.o").display().to_string();
    let flags = [&[object.as_str(), "-Wl,-z,stack-size=32768"], flags].concat();
    cc(dir, name, source, &flags)
}

fn standing<'a>(programs: &'a [(&str, Vec<u8>)]) -> Vec<Standing<'a>> {
    let programs = programs.iter();
    programs
        .map(|(origin, wasm)| Standing { origin, wasm })
        .collect()
}

/// Both programs and the library; the first has its stack below its data, the second above.
fn both(dir: &Path, forged: &str) -> (Library, Vec<(&'static str, Vec<u8>)>) {
    let library = library(dir, LIBRARY);
    let first = program(dir, "first", FIRST, &[RELOCS, "-Wl,--stack-first"]);
    let second = program(
        dir,
        "second",
        SECOND,
        &[RELOCS, "-Wl,--no-stack-first", forged],
    );
    (library, vec![("first", first), ("second", second)])
}

const SETUP: Setup<'_> = Setup {
    args: &["program"],
    stdin: "",
    dir: None,
};

#[test]
fn programs_behave_as_before_and_have_the_library_once() {
    let dir = tempfile::tempdir().unwrap();
    let (library, programs) = both(dir.path(), "-DFORGED=0");
    let laid = lay(&standing(&programs), &[library]).unwrap();
    // fold, tell, walk, twice, square; `flavour` is the library's in one of them only.
    assert_eq!(laid.summary.functions, 5);
    let names = ["first", "second"];
    let moved: Vec<(&str, &[u8])> = names
        .into_iter()
        .zip(laid.modules.iter().map(|m| &m[..]))
        .collect();
    let engine = engine();
    for folding in support::FOLDINGS {
        let linked = link_folded(&moved, folding);
        let module = wasmtime::Module::new(&engine, &linked.wasm).unwrap();
        for ((name, original), (_, moved)) in programs.iter().zip(&moved) {
            let digest = megabinary::digest::Digest::of(moved);
            let expected = run_original(&engine, original, &SETUP);
            assert!(
                matches!(expected.end, Ok(code) if code > 0),
                "{name}: {expected:?}"
            );
            let found = run_linked(&engine, &module, &digest, &SETUP);
            assert_eq!(found, expected, "{name}, {folding:?}");
        }
        // What calls through a pointer has the program's own trampoline, and `walk` its `flavour`.
        let once: &[&str] = match folding {
            Folding::None => &[],
            _ => &["shared::twice", "shared::square", "shared::tell"],
        };
        let text = String::from_utf8_lossy(&linked.wasm);
        for name in once {
            assert_eq!(text.matches(name).count(), 1, "{name}, {folding:?}");
        }
    }
    // What they share no longer depends on where their data lies, so no constant varies.
    let exact = link_folded(&moved, Folding::Exact).wasm.len();
    let apart: Vec<(&str, &[u8])> = programs.iter().map(|(n, w)| (*n, &w[..])).collect();
    assert!(exact < link_folded(&apart, Folding::Exact).wasm.len());
}

#[test]
fn the_output_does_not_depend_on_anything_but_the_input() {
    let dir = tempfile::tempdir().unwrap();
    let (library, programs) = both(dir.path(), "-DFORGED=0");
    let lay = || {
        lay(&standing(&programs), std::slice::from_ref(&library))
            .unwrap()
            .modules
    };
    assert_eq!(lay(), lay());
}

#[test]
fn a_forged_function_pointer_reaches_no_other_program() {
    let engine = engine();
    for forged in 1..20 {
        let dir = tempfile::tempdir().unwrap();
        let (library, programs) = both(dir.path(), &format!("-DFORGED={forged}"));
        let laid = lay(&standing(&programs), &[library]).unwrap();
        let moved: Vec<(&str, &[u8])> =
            vec![("first", &laid.modules[0]), ("second", &laid.modules[1])];
        for folding in support::FOLDINGS {
            let linked = link_folded(&moved, folding);
            let module = wasmtime::Module::new(&engine, &linked.wasm).unwrap();
            let digest = megabinary::digest::Digest::of(moved[1].1);
            let end = run_linked(&engine, &module, &digest, &SETUP).end;
            // What the first program's own function would end with.
            assert_ne!(end, Ok(77), "entry {forged}, {folding:?}");
        }
    }
}

#[test]
fn what_cannot_stand_on_a_base_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let library = library(dir, LIBRARY);
    let refused = |wasm: Vec<u8>, library: &Library, parts: &[&str]| {
        let programs = [("bad.wasm", wasm)];
        let error = lay(&standing(&programs), std::slice::from_ref(library)).unwrap_err();
        let text = error.to_string();
        for part in parts {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
    };
    let plain = program(dir, "plain", FIRST, &[]);
    refused(
        plain,
        &library,
        &["bad.wasm", "no relocations", "--emit-relocs"],
    );
    let first = program(dir, "first", FIRST, &[RELOCS]);
    let tight = [RELOCS, "-Wl,--initial-memory=65536,--max-memory=65536"];
    let tight = program(dir, "tight", FIRST, &tight);
    refused(tight, &library, &["maximum is 1", "--max-memory"]);
    let archive = Library {
        origin: "libx.a".to_owned(),
        bytes: b"\0asm\x01\0\0\0".to_vec(),
    };
    refused(first.clone(), &archive, &["libx.a", "not an archive"]);
    let bitcode = Library {
        origin: "libx.a".to_owned(),
        bytes: format!("!<arch>\n{:<16}{:<32}{:<10}`\nBC..", "a.o/", "0", 4).into_bytes(),
    };
    refused(first.clone(), &bitcode, &["no WebAssembly object", "-flto"]);
    let newer = LIBRARY.replace("return 2 * x;", "return x << 2;");
    let newer = self::library(dir, &newer);
    refused(
        first.clone(),
        &newer,
        &["`twice` is not the one of library.a"],
    );
    let other = self::library(dir, "int unrelated(int x) { return x; }");
    refused(first, &other, &["none of its functions"]);
}

/// Changes a few bytes of what linkers leave for linkers, and of anything else; the answer may be
/// whatever is right for that, but there is one, and what is laid is linked or refused.
#[test]
fn damaged_relocations_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let (library, programs) = both(dir.path(), "-DFORGED=0");
    let mut state = 7u64;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % bound
    };
    let find = |bytes: &[u8], name: &[u8]| bytes.windows(name.len()).position(|w| w == name);
    let (mut laid, mut refused) = (0, 0);
    for round in 0..3000 {
        let (mut library, mut programs) = (library.clone(), programs.clone());
        let bytes = match round % 3 {
            0 => &mut library.bytes,
            1 => &mut programs[0].1,
            _ => &mut programs[1].1,
        };
        let from = match round % 5 {
            0 => 0,
            _ => find(bytes, b"linking").unwrap(),
        };
        for _ in 0..=next(3) {
            let at = from + next(bytes.len() - from);
            bytes[at] = match next(3) {
                0 => next(256) as u8,
                1 => bytes[at].wrapping_add(1),
                _ => bytes[at] ^ (1 << next(8)),
            };
        }
        if next(20) == 0 {
            let len = next(bytes.len());
            bytes.truncate(len);
        }
        match lay(&standing(&programs), &[library]) {
            Ok(found) => {
                laid += 1;
                let moved = [
                    ("first", &found.modules[0][..]),
                    ("second", &found.modules[1][..]),
                ];
                let _ = link(&request(&moved));
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(
        laid > 100 && refused > 100,
        "{laid} laid, {refused} refused"
    );
}
