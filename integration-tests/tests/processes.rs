//! Programs that run programs, as people do it: real tools built with libvkernel,
//! whose children are processes of the same kernel, each found by its digest
//! and with its own rights.

use std::fs;

use integration_tests::command::Output;
use integration_tests::linked::Linked;
use integration_tests::subject;

/// The container of `guests/recipes/processes.toml`.
fn container() -> Linked {
    Linked::new(&subject::recipe("processes"))
}

#[test]
fn the_library_keeps_its_promises() {
    let output = container().run(&["/usr/bin/check"]);
    assert_eq!(output.code, 0, "{}", output.err());
    // It executes itself in the end, under its own number.
    assert_eq!(output.out(), "through a pipe\n1 0\n");
}

#[test]
fn a_process_that_forks_is_there_twice() {
    let output = container().run(&["/usr/bin/forkcheck"]);
    assert_eq!(output.code, 0, "{} {}", output.out(), output.err());
    assert_eq!(output.out(), "from a child\nall of it\n");
}

#[test]
fn find_executes_a_program_for_each_file_or_for_many() {
    let container = container();
    let each = container.run(&[
        "find", "/data", "-name", "*.txt", "-exec", "wc", "-l", "{}", ";",
    ]);
    let lines = each.success().out().lines().count();
    assert_eq!(lines, 5);
    let many = container.run(&[
        "find", "/data", "-name", "*.txt", "-exec", "wc", "-l", "{}", "+",
    ]);
    let many = many.success().out();
    assert_eq!(many.lines().count(), lines + 1);
    assert!(many.contains("total"), "{many}");
    // Each is an execution of its own: what asked is process 1, and find itself was one.
    let executed = container
        .audit()
        .matches(r#""path":"/usr/bin/toybox""#)
        .count();
    let asked = container.audit().matches(r#""decision":"allowed""#).count();
    assert_eq!((executed, asked), (lines + 1, lines + 3));
}

#[test]
fn xargs_passes_input_on_and_reports_what_its_commands_say() {
    let container = container();
    let numbers: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    let output = container.run_with(&["xargs", "-n", "4000", "echo"], numbers.as_bytes());
    let text = output.success().out();
    assert_eq!(text.lines().count(), 5);
    assert_eq!(text.split_whitespace().count(), 20_000);
    for (command, code) in [("false", 123), ("true", 0), ("nope", 127), ("/data", 126)] {
        let output = container.run_with(&["xargs", command], b"x\n");
        assert_eq!(output.code, code, "{command}: {}", output.err());
    }
}

#[test]
fn env_replaces_itself() {
    let container = container();
    let output = container.run(&["env", "-i", "GREETING=hello", "/usr/bin/env"]);
    assert_eq!(output.success().out(), "GREETING=hello\n");
    assert_eq!(container.run(&["env", "nope"]).code, 127);
    assert_eq!(container.run(&["env", "/data"]).code, 126);
    // What replaced it has its status.
    assert_eq!(container.run(&["env", "false"]).code, 1);
}

#[test]
fn lua_reads_from_writes_to_and_waits_for_programs() {
    let script = r#"
        for line in io.popen("seq 3"):lines() do io.write(line, ";") end
        local out = io.popen("wc -c", "w"); out:write("twelve bytes"); out:close()
        print(os.execute("false"))
        print(io.popen("nope"):close())
        print(io.popen("x=$(seq 4 | wc -l); echo $((x * 2)) && exit 7"):read("a"))
        print(os.execute("cd /data && test -d . || exit 1; exit 5"))
    "#;
    let output = container().run(&["lua", "-e", script]);
    let words = output
        .out()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(
        words,
        "1;2;3;12 nil exit 1 nil exit 127 8 nil exit 5",
        "{}",
        output.err()
    );
    assert_eq!(output.err(), "sh: 1: nope: not found\n");
}

#[test]
fn awk_reads_from_writes_to_and_waits_for_commands() {
    let script = r#"BEGIN {
        print system("exit 3"), system("nope 2>/dev/null")
        "echo a b | wc -w" | getline n; print n
        while (("seq 3" | getline x) > 0) s = s x; print s
        print "z\ny" | "sort"; close("sort"); print "end"
    }"#;
    let output = container().run(&["awk", script]);
    assert_eq!(
        output.out(),
        "3 127\n2\n123\ny\nz\nend\n",
        "{}",
        output.err()
    );
}

#[test]
fn ed_runs_a_shells_commands() {
    let keys = "a\nhello\n.\n!echo $((6 * 7)) | cat\nr !seq 2 | sort -r\n,p\nw !wc -l\nQ\n";
    let output = container().run_with(&["ed", "-s"], keys.as_bytes());
    assert_eq!(output.out(), "42\nhello\n2\n1\n3\n", "{}", output.err());
}

#[test]
fn sqlite_runs_a_shells_commands_and_reads_from_them() {
    let lines = "create table t(n);\n.shell echo in a shell, $(echo of its own)\n.import '|seq 4' t\n\
        select sum(n) from t;\n.output '|tr 0-9 a-j'\nselect 12345;\n";
    let output = container().run_with(&["sqlite3", ":memory:"], lines.as_bytes());
    let expected = "in a shell, of its own\n10\nbcdef\n";
    assert_eq!(output.out(), expected, "{}", output.err());
}

#[test]
fn a_writer_ends_with_its_reader() {
    // `yes` would write for ever.
    let script = r#"local p = io.popen("yes"); print(p:read("l")); print(p:close())"#;
    let output = container().run(&["lua", "-e", script]);
    let words = output.success().out();
    assert_eq!(
        words.split_whitespace().collect::<Vec<_>>(),
        ["y", "nil", "signal", "13"]
    );
}

#[test]
fn a_swapped_file_is_not_executed_by_a_child_either() {
    let container = container();
    fs::write(
        container.root().join("usr/bin/toybox"),
        "#!/bin/sh\necho pwned\n",
    )
    .expect("writing the root file system");
    let output = container.run_with(&["xargs", "echo"], b"x\n");
    assert_eq!(
        (output.code, output.out().as_str()),
        (126, ""),
        "{}",
        output.err()
    );
    assert!(container.audit().contains(r#""decision":"modified""#));
}

#[test]
fn what_is_not_listed_is_not_executed() {
    let recipe = fs::read_to_string(subject::recipe("processes")).expect("it was found");
    let listed = recipe
        .replace("exec = \"any\"", "exec = \"listed\"")
        .replace(
            "\"../.cache",
            &format!("\"{}/.cache", subject::guests().display()),
        )
        .replace(
            "[\"rootfs\", \"../..",
            &format!(
                "[\"{0}/recipes/rootfs\", \"{0}/..",
                subject::guests().display()
            ),
        )
        .replace(
            "name = \"runners\"\n",
            "name = \"runners\"\nexec = [\"/usr/bin/lua\"]\n",
        );
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("listed.toml");
    fs::write(&path, listed).expect("writing the recipe");
    let container = Linked::new(&path);
    let output = container.run(&["env", "lua", "-e", "print(1)"]);
    assert_eq!(output.success().out(), "1\n");
    assert_eq!(container.run(&["env", "echo", "1"]).code, 126);
    assert_eq!(container.run_with(&["xargs", "echo"], b"x\n").code, 126);
    // Lua's entry names nobody.
    let output = container.run(&["lua", "-e", "print(os.execute('true'))"]);
    assert_eq!(
        output
            .success()
            .out()
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["nil", "exit", "127"]
    );
    assert!(container.audit().contains(r#""decision":"not-listed""#));
}

fn python(container: &Linked, script: &str) -> Output {
    container.run(&[
        "python3",
        "-c",
        &format!("import sys; sys.path.insert(0, '/')\n{script}"),
    ])
}

#[test]
fn python_runs_programs_as_it_does_everywhere() {
    let script = r#"
import vkernel, subprocess, os, shutil
run = lambda *args, **more: subprocess.run(args, capture_output=True, text=True, **more)
print(run("echo", "hello").stdout, end="")
print(run("wc", "-c", input="twelve bytes").stdout, end="")
print(len(run("cat", input="x" * 3_000_000).stdout))
print(run("env", env={"ONLY": "this"}).stdout, end="")
print(run("false").returncode, run("env", "nope").returncode, run("cat", "/nope").stderr, end="")
print(run("check", "child", "cwd", cwd="/data").stdout, end="")
first = subprocess.Popen(["seq", "5"], stdout=subprocess.PIPE)
second = subprocess.Popen(["wc", "-l"], stdin=first.stdout, stdout=subprocess.PIPE, text=True)
first.stdout.close()
print(second.communicate()[0], first.wait(), second.wait())
endless = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
endless.stdout.read(2)
endless.terminate()
print(endless.wait())
try: subprocess.run(["sleep", "100"], timeout=0.2)
except subprocess.TimeoutExpired: print("timed out")
for wrong in (dict(args=["nope"]), dict(args=["echo"], cwd="/nope"), dict(args=["/data"])):
    try: subprocess.run(**wrong)
    except OSError as error: print(type(error).__name__, error.filename)
print(os.system("false || exit 9") >> 8, subprocess.check_output("echo by a $(echo shell)", shell=True, text=True), end="")
print(subprocess.run("seq 3 | sort -r | tr '\\n' ' '; (exit 4)", shell=True, stdout=subprocess.PIPE, text=True))
print(shutil.which("sh"), shutil.which("nope"), os.getpid(), os.getppid())
print(run("check", "child", "fds").stdout)
"#;
    let output = python(&container(), script);
    let expected = "hello\n12\n3000000\nONLY=this\n1 127 cat: /nope: No such file or directory\n/data\n\
        5\n 0 0\n-15\ntimed out\nFileNotFoundError nope\nFileNotFoundError /nope\n\
        PermissionError /data\n9 by a shell\n\
        CompletedProcess(args=\"seq 3 | sort -r | tr '\\\\n' ' '; (exit 4)\", returncode=4, stdout='3 2 1 ')\n/bin/sh None 1 0\n0 1 2 \n";
    assert_eq!(output.out(), expected, "{}", output.err());
}

#[test]
fn python_makes_processes_only_with_the_rights_to() {
    let recipe = fs::read_to_string(subject::recipe("processes")).expect("it was found");
    let text = recipe
        .replace("\"clone\", ", "")
        .replace(
            "\"../.cache",
            &format!("\"{}/.cache", subject::guests().display()),
        )
        .replace(
            "[\"rootfs\", \"../..",
            &format!(
                "[\"{0}/recipes/rootfs\", \"{0}/..",
                subject::guests().display()
            ),
        );
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("less.toml");
    fs::write(&path, text).expect("writing the recipe");
    let script = "
import vkernel, subprocess
try: subprocess.run(['echo'])
except PermissionError as error: print('refused')";
    let container = Linked::new(&path);
    assert_eq!(python(&container, script).success().out(), "refused\n");
    assert!(container.audit().contains(r#""call":"spawn""#));
}
