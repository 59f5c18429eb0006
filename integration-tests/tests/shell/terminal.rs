//! The shell on a terminal: `megarun exec --tty`.

use integration_tests::command::{run, run_leaving};
use integration_tests::node::Node;
use integration_tests::subject;
use integration_tests::terminal::Terminal;

const INTERRUPT: &str = "\x03";
const END_OF_INPUT: &str = "\x04";
const SUSPEND: &str = "\x1a";

/// A job that says when it has come to the terminal's front and when it is behind. What is typed
/// before a shell has put a job in front is for the shell, here as with any kernel.
const JOB: &str = "JOB=was=
while read pid name state parent group session terminal front rest < /proc/self/stat; do
  if [ $front = $group ]; then now=front; else now=behind; fi
  if [ $now != \"$was\" ]; then echo in $now; was=$now; fi
  sleep 0.02
done";

/// A container that waits, in which shells can be started.
pub struct Running {
    pub node: Node,
    pub id: String,
}

impl Running {
    pub fn new(name: &str) -> Self {
        let (node, id) = (Node::new(), format!("{name}-{}", std::process::id()));
        let bundle = node.bundle(
            &subject::recipe("shell"),
            "shell",
            &["/usr/bin/sleep", "1000"],
        );
        let bundle = bundle.to_str().expect("a path of our own");
        run_leaving(&mut node.megarun(&["run", "--detach", "--bundle", bundle, &id])).success();
        Self { node, id }
    }

    fn shell(&self) -> Terminal {
        let id: &str = &self.id;
        let prompt = "PS1=ready> ";
        let args = [
            "exec", "--tty", "--env", prompt, "--env", JOB, id, "/bin/sh",
        ];
        Terminal::start(&mut self.node.megarun(&args))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        run(&mut self.node.megarun(&["delete", "--force", &self.id]));
    }
}

#[test]
fn a_shell_is_used_as_on_any_terminal() {
    let container = Running::new("terminal");
    let mut shell = container.shell();
    // A prompt; what is typed is echoed; a line is done.
    shell.shows("ready> ");
    shell.types("echo one; echo $((1 + 1))\n");
    shell.shows("echo one; echo $((1 + 1))\r\n");
    shell.shows("one\r\n2\r\nready> ");

    // It has a name, and another by which each process reaches its own.
    shell.types("t=$(tty); echo \"in ${t%/*}\"; echo through >$t; tty </dev/tty; echo | tty\n");
    shell.shows("\r\nin /dev/pts\r\nthrough\r\n/dev/tty\r\nnot a tty\r\nready> ");

    // An interrupt ends the program in the foreground, and the shell goes on.
    shell.types("sh -c \"$JOB\"\n");
    shell.shows("\nin front\r\n");
    shell.types(INTERRUPT);
    shell.shows("ready> ");
    shell.types("echo \"status $?\"\n");
    shell.shows("\r\nstatus 130\r\nready> ");
    // At the prompt it gives up the line.
    shell.types("echo never");
    shell.shows("echo never");
    shell.types(INTERRUPT);
    shell.shows("ready> ");

    // A suspended program is a job, which goes on in the back and comes to the front.
    shell.types("sh -c \"$JOB\"\n");
    shell.shows("\nin front\r\n");
    shell.types(SUSPEND);
    shell.shows("Stopped");
    shell.shows("ready> ");
    shell.types("jobs\n");
    shell.shows("\r\n[1] + Stopped");
    shell.shows("ready> ");
    shell.types("bg\n");
    shell.shows("in behind\r\n");
    shell.types("jobs\n");
    shell.shows("[1] + Running");
    shell.shows("ready> ");
    shell.types("fg\n");
    shell.shows("\r\nsh -c");
    shell.shows("in front\r\n");
    shell.types(INTERRUPT);
    shell.shows("ready> ");
    shell.types("jobs; echo \"left: $(jobs)\"\n");
    shell.shows("\r\nleft: \r\nready> ");

    // Who reads from the terminal in the back is stopped until it is in front.
    shell.types("cat &\n");
    shell.shows("ready> ");
    shell.types("wait; echo waited; jobs\n");
    shell.shows("Stopped");
    shell.shows("ready> ");
    shell.types("fg\n");
    shell.shows("\r\ncat\r\n");
    shell.types("to the front\n");
    shell.shows("to the front\r\nto the front\r\n");
    shell.types(END_OF_INPUT);
    shell.shows("ready> ");

    shell.has_a_size();

    // The end of input ends it, with the status of the last command.
    shell.types("false\n");
    shell.shows("ready> ");
    shell.types(END_OF_INPUT);
    assert_eq!(shell.ends(), 1);
}

#[test]
fn a_program_without_a_shell_is_not_stopped_for_good() {
    let container = Running::new("terminal-alone");
    let args = ["exec", "--tty", &container.id, "/usr/bin/cat"];
    let mut cat = Terminal::start(&mut container.node.megarun(&args));
    cat.types("first\n");
    cat.shows("first\r\nfirst\r\n");
    // Nobody could continue it.
    cat.types(SUSPEND);
    cat.types("second\n");
    cat.shows("second\r\nsecond\r\n");
    cat.types(END_OF_INPUT);
    assert_eq!(cat.ends(), 0);
}
