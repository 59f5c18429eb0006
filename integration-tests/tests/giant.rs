//! LLVM, a module of 75 MB, in one container with a shell, make and other tools: linked, signed and
//! verified as any other, it builds programs for WASI there, and those are programs of a container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::command::{Output, run};
use integration_tests::linked::Linked;
use integration_tests::subject;

/// All paths absolute: LLVM's libc, which is as its authors built it, begins in `/` wherever it is
/// started.
const MAKEFILE: &str = "\
CFLAGS = --target=wasm32-wasip1 --sysroot=/usr -O2 -Wall -Werror
LIB = /usr/lib/wasm32-wasip1
/tmp/primes.wasm: /tmp/main.o /tmp/libsieve.a
\twasm-ld -L$(LIB) $(LIB)/crt1-command.o $^ -lc /usr/lib/wasm32-unknown-wasip1/libclang_rt.builtins.a -o $@
/tmp/libsieve.a: /tmp/sieve.o
\tllvm-ar rcs $@ $^
%.o: %.c
\tclang $(CFLAGS) -c $< -o $@
";

const MAIN: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int sieve(int limit);
int main(int argc, char **argv) {
  int limit = argc > 1 ? atoi(argv[1]) : 100;
  printf("%d primes below %d\n", sieve(limit), limit);
  return sieve(limit) % 100;
}
"#;

const SIEVE: &str = r#"
#include <stdlib.h>
int sieve(int limit) {
  char *composite = calloc(limit, 1);
  int count = 0;
  for (int n = 2; n < limit; n++) {
    if (composite[n]) continue;
    count++;
    for (int at = 2 * n; at < limit; at += n) composite[at] = 1;
  }
  free(composite);
  return count;
}
"#;

/// The container, signed.
struct Giant {
    folder: tempfile::TempDir,
}

impl Giant {
    fn build() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let giant = Self { folder };
        let (key, out) = (giant.path("keys/test.key"), giant.path("out"));
        let keys = giant.path("keys");
        megabin(&["keygen", "--key-id", "test", "--out"], &[&keys]).success();
        let recipe = subject::recipe("giant");
        megabin(&["build", "--key"], &[&key, &recipe, Path::new("-o"), &out]).success();
        giant
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, line: &[&str]) -> Output {
        let mut command = Command::new(subject::megabin());
        command.arg("run").arg(self.path("out"));
        command.arg("--trust").arg(self.path("keys"));
        command.arg("--cache").arg(subject::artifacts());
        run(command.arg("--").args(line))
    }
}

fn megabin(args: &[&str], paths: &[&Path]) -> Output {
    run(Command::new(subject::megabin()).args(args).args(paths))
}

/// The program of `wasm` in a container of its own.
fn linked(folder: &Path, wasm: &Path) -> Linked {
    let recipe = folder.join("primes.toml");
    let text = format!(
        "name = \"primes\"\nversion = \"1\"\n[[binary]]\npath = \"/bin/primes\"\nmodule = {wasm:?}\n"
    );
    fs::write(&recipe, text).expect("writing a recipe");
    Linked::new(&recipe)
}

#[test]
fn clang_builds_programs_in_a_container_that_is_its_own_megabinary() {
    let giant = Giant::build();
    let (out, keys) = (giant.path("out"), giant.path("keys"));
    // All of it is valid, and what was signed.
    let verified = megabin(&["verify"], &[&out, Path::new("--trust"), &keys]);
    assert!(verified.success().out().contains("everything agrees"));
    // Longer than commands of the tests may take.
    let mut compile = Command::new(subject::megabin());
    compile.arg("precompile").arg(&out).arg("--cache");
    let compiled = compile.arg(subject::artifacts()).status();
    assert!(compiled.expect("megabin starts").success(), "not compiled");

    let version = giant.run(&["clang", "--version"]).success().out();
    assert!(version.contains("clang version 22"), "{version}");
    let tmp = out.join("rootfs/tmp");
    let sources = [
        ("Makefile", MAKEFILE),
        ("main.c", MAIN),
        ("sieve.c", SIEVE),
        ("wrong.c", "int main(void) { return nothing; }\n"),
    ];
    for (name, text) in sources {
        fs::write(tmp.join(name), text).expect("writing a file of our own");
    }
    let wrong = giant.run(&["clang", "--target=wasm32-wasip1", "-c", "/tmp/wrong.c"]);
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.err().contains("undeclared identifier 'nothing'"),
        "{}",
        wrong.err()
    );
    let made = giant.run(&["make", "-f", "/tmp/Makefile"]).success().out();
    assert!(made.contains("clang --target=wasm32-wasip1"), "{made}");
    assert!(
        giant
            .run(&["make", "-f", "/tmp/Makefile"])
            .success()
            .out()
            .contains("up to date")
    );
    // The others are there as well.
    let symbols = giant.run(&["sh", "-c", "llvm-nm /tmp/libsieve.a | grep sieve"]);
    assert!(symbols.success().out().contains(" T sieve"));

    let product = linked(giant.folder.path(), &tmp.join("primes.wasm"));
    let ran = product.run(&["/bin/primes", "100000"]);
    assert_eq!(
        (ran.code, ran.out()),
        (92, "9592 primes below 100000\n".to_owned())
    );
}
