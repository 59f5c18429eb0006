//! A shell that somebody uses by `podman exec -it`: prompt, interrupts, sizes and the end come all the way through
//! podman, conmon and two terminals.

use std::sync::OnceLock;

use integration_tests::command::run;
use integration_tests::engines::{Container, Podman, Room, image};
use integration_tests::subject;
use integration_tests::terminal::Terminal;

const INTERRUPT: &str = "\x03";
const END_OF_INPUT: &str = "\x04";

/// The image of a shell and small tools, made once.
fn shells(room: &Room) -> &'static str {
    static MADE: OnceLock<String> = OnceLock::new();
    MADE.get_or_init(|| image(room, &subject::recipe("shell"), "shell"))
}

fn shell(container: &Container<'_>) -> Terminal {
    let exec = ["exec", "-it", "-e", "PS1=ready> ", "IT", "/bin/sh"];
    Terminal::start(&mut container.command(&exec))
}

#[test]
fn a_shell_is_used_by_exec() {
    let room = Room::shared();
    let podman = Podman::new(room, "megarun");
    let container = podman.start_of(shells(room), &["--network", "none"], &["sleep", "1000"]);
    let mut shell = shell(&container);

    shell.shows("ready> ");
    shell.types("echo one | tr a-z A-Z; test -t 0 && echo on it\n");
    shell.shows("\r\nONE\r\non it\r\nready> ");

    shell.types("t=$(tty); echo \"in ${t%/*}\"; echo through >$t; tty </dev/tty\n");
    shell.shows("\r\nin /dev/pts\r\nthrough\r\n/dev/tty\r\nready> ");

    // An interrupt is for the program in front, which has what is typed, and the shell goes on.
    shell.types("cat\n");
    shell.types("to the front\n");
    shell.shows("to the front\r\nto the front\r\n");
    shell.types(INTERRUPT);
    shell.shows("ready> ");
    shell.types("echo \"status $?\"\n");
    shell.shows("\r\nstatus 130\r\nready> ");
    // At the prompt it gives up the line.
    shell.types("echo never");
    shell.shows("echo never");
    shell.types(INTERRUPT);
    shell.shows("ready> ");
    shell.types("echo after\n");
    shell.shows("echo after\r\nafter\r\nready> ");

    // Through both terminals.
    shell.has_a_size();

    // The end of input ends the shell, with the status of its last command.
    shell.types("sh -c 'exit 7'\n");
    shell.shows("ready> ");
    shell.types(END_OF_INPUT);
    assert_eq!(shell.ends(), 7);
}

#[test]
fn links_and_copies_are_executed_as_what_they_hold() {
    let room = Room::shared();
    let podman = Podman::new(room, "megarun");
    let container = podman.start_of(shells(room), &["--network", "none"], &["sleep", "1000"]);
    let exec = |line: &[&str]| run(&mut container.command(&[&["exec", "IT"], line].concat()));
    exec(&["/bin/sh", "-c", include_str!("../shell/tickets.sh")]).success();
    for made in ["copied", "linked", "pointing"] {
        let program = format!("/made/{made}/echo");
        let output = exec(&[&program, "from outside"]);
        assert_eq!(output.success().out(), "from outside\n");
    }
    assert_eq!(exec(&["/made/changed/echo", "never"]).code, 126);
}
