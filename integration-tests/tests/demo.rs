//! `make demo` is a promise: what it asserts holds on every test run.

use std::process::Command;

use integration_tests::command::run;
use integration_tests::subject;

#[test]
fn everything_the_demo_shows_holds() {
    subject::require_root();
    let script = subject::guests().join("../demo/demo.sh");
    let output = run(Command::new(script)
        .env("MEGARUN_BIN", subject::megarun())
        .env("MEGABIN_BIN", subject::megabin()));
    let output = output.success();
    let last = output.out();
    let last = last.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("demo: everything held: "),
        "the last line is: {last}"
    );
}
