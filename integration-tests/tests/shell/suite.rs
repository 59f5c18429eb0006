//! The tests that the shell yash has for any POSIX shell, on the container's shell and on this
//! machine's dash. Every case that passes there must pass here, but for those on the list
//! `shell-suite/not-passed.toml`, each with its reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use integration_tests::command::run;
use integration_tests::linked::Linked;
use integration_tests::subject;
use integration_tests::terminal::Controlling;
use serde::Deserialize;

#[derive(Deserialize)]
struct NotPassed {
    reason: String,
    /// Who is faster decides: it may pass.
    #[serde(default)]
    race: bool,
}

/// One in which dash, with the terminal that it wants, comes to no end.
const ENDLESS: &str = "kill4-p.sh";

/// Those that are about the jobs of a terminal. Who is faster decides some of their cases: one counts
/// if dash passes it each time, and is passed if it is once.
const ON_A_TERMINAL: &[&str] = &["bg-p.sh", "fg-p.sh", "job-p.sh", "wait-p.sh"];

/// Whether each case passed, by its file and name, and its number where a name is there again.
type Verdicts = BTreeMap<String, bool>;

/// Where the tests are: `make test` fetches them.
fn suite() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shell-suite");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("shell-suite/fetch.sh");
    run(Command::new(script).arg(&dir)).success();
    dir
}

fn files(suite: &Path) -> Vec<String> {
    let entries = fs::read_dir(suite).expect("the tests were fetched");
    let names = entries.map(|entry| entry.expect("our own directory").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into()).collect();
    names.retain(|name| name.ends_with("-p.sh") && name != ENDLESS);
    names.sort();
    names
}

/// What the suite's own log says of each case.
fn verdicts(file: &str, log: &str) -> Verdicts {
    // The line between is not everybody's to know.
    let name = |line: &str, mark: &str| {
        let rest = line.strip_prefix(mark)?.strip_prefix(file)?;
        rest.splitn(3, ':').nth(2).map(str::to_owned)
    };
    let mut verdicts = Verdicts::new();
    let mut seen = BTreeMap::<String, usize>::new();
    let mut case = String::new();
    for line in log.lines() {
        if let Some(name) = name(line, "%%% START: ") {
            let times = seen.entry(name.clone()).or_default();
            *times += 1;
            case = format!("{file}:{name}");
            if *times > 1 {
                case += &format!(" #{times}");
            }
            // One that does not end has not passed.
            verdicts.insert(case.clone(), false);
        } else if name(line, "%%% OK[PASSED]: ").is_some() {
            verdicts.insert(case.clone(), true);
        }
    }
    verdicts
}

fn with_terminal(command: &mut Command, file: &str) {
    let _terminal = on_a_terminal(file).then(|| Controlling::give(command));
    // The suite's script succeeds whatever its cases do; its log says more than its streams.
    run(command);
}

fn on_a_terminal(file: &str) -> bool {
    ON_A_TERMINAL.contains(&file)
}

/// The verdicts of several runs as one, by `of`.
fn repeated(
    times: u32,
    mut once: impl FnMut() -> Verdicts,
    of: fn(bool, bool) -> bool,
) -> Verdicts {
    let mut all = once();
    for _ in 1..times {
        for (case, passed) in once() {
            let verdict = all.entry(case).or_insert(passed);
            *verdict = of(*verdict, passed);
        }
    }
    all
}

/// This machine's dash, told to test itself.
fn native(suite: &Path, file: &str) -> Verdicts {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let log = scratch.path().join("log");
    let mut command = Command::new("dash");
    command
        .args(["./run-test.sh", "dash", file])
        .arg(&log)
        .current_dir(suite)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C")
        .env("TMPDIR", scratch.path());
    with_terminal(&mut command, file);
    verdicts(file, &fs::read_to_string(&log).expect("a log"))
}

/// A container whose root file system has the suite in `/suite`.
fn container(suite: &Path) -> Linked {
    let container = Linked::new(&subject::recipe("shell"));
    let inside = container.root().join("suite");
    fs::create_dir(&inside).expect("a directory of our own");
    // As in any container.
    fs::create_dir_all(container.root().join("dev")).expect("a directory of our own");
    for file in files(suite)
        .iter()
        .map(String::as_str)
        .chain(["run-test.sh"])
    {
        fs::copy(suite.join(file), inside.join(file)).expect("copying a test");
    }
    // Compiles it, before two do.
    container.run(&["/bin/sh", "-c", "exit"]).success();
    container
}

/// The container's shell, told to test itself.
fn inside(container: &Linked, file: &str) -> Verdicts {
    let script = format!(
        "cd /suite && TMPDIR=/suite/{file}.d LANG=C exec sh ./run-test.sh sh {file} {file}.log"
    );
    // The suite names its folders by the process, whose number is the same each time.
    let scratch = container.root().join(format!("suite/{file}.d"));
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir(&scratch).expect("a directory of our own");
    let mut command = container.command(&["/bin/sh", "-c", &script]);
    with_terminal(&mut command, file);
    let log = container.root().join(format!("suite/{file}.log"));
    verdicts(file, &fs::read_to_string(&log).unwrap_or_default())
}

#[test]
fn what_passes_in_the_machines_own_dash_passes_here_but_for_those_on_the_list() {
    let list = include_str!("../../shell-suite/not-passed.toml");
    let list: BTreeMap<String, NotPassed> = toml::from_str(list).expect("a list with reasons");
    assert!(list.values().all(|entry| !entry.reason.is_empty()));
    let suite = suite();
    let container = container(&suite);
    let files = Mutex::new(files(&suite).into_iter());
    let all: Mutex<(Verdicts, Verdicts)> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let file = files.lock().expect("nothing panics with it").next();
                    let Some(file) = file else { break };
                    let (twice, thrice) = if on_a_terminal(&file) { (2, 3) } else { (1, 1) };
                    let theirs = repeated(twice, || native(&suite, &file), |a, b| a && b);
                    let ours = repeated(thrice, || inside(&container, &file), |a, b| a || b);
                    let mut all = all.lock().expect("nothing panics with it");
                    all.0.extend(theirs);
                    all.1.extend(ours);
                }
            });
        }
    });
    let (theirs, ours) = all.into_inner().expect("nothing panics with it");
    let expected: Vec<&String> = theirs
        .iter()
        .filter_map(|(case, passed)| passed.then_some(case))
        .collect();
    let passed = |case: &String| ours.get(case) == Some(&true);
    let mut wrong = Vec::new();
    for case in &expected {
        match (passed(case), list.get(*case)) {
            (true, Some(entry)) if !entry.race => {
                wrong.push(format!("passes, and is on the list: {case}"))
            }
            (false, None) => wrong.push(format!("does not pass: {case}")),
            _ => {}
        }
    }
    let settled = list.iter().filter(|(_, entry)| !entry.race);
    for (case, _) in settled.filter(|(case, _)| !expected.contains(case)) {
        wrong.push(format!("on the list, and no case that dash passes: {case}"));
    }
    let count = expected.iter().filter(|case| passed(case)).count();
    eprintln!(
        "{count} of {} cases that dash passes, {} in all",
        expected.len(),
        theirs.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count * 10 >= expected.len() * 9);
    assert!(expected.len() > 1000, "{}", expected.len());
}
