//! Sockets in containers, with clients and servers that people use, under each `networking`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use integration_tests::command::{Output, run, run_leaving, run_leaving_with, run_with};
use integration_tests::node::Node;
use integration_tests::subject;
use serde_json::json;

/// A running container of `guests/recipes/network.toml` with this `networking`, in a network
/// namespace of its own.
struct Container {
    node: Node,
    id: String,
    bundle: PathBuf,
    _recipe: tempfile::TempDir,
}

impl Container {
    fn new(networking: &str, argv: &[&str]) -> Self {
        let container = Self::bundled(networking, argv);
        container.start();
        container
    }

    fn bundled(networking: &str, argv: &[&str]) -> Self {
        let guests = subject::guests();
        let recipe = fs::read_to_string(subject::recipe("network"))
            .expect("it was found")
            .replace(
                "networking = \"host\"",
                &format!("networking = \"{networking}\""),
            )
            .replace("\"../.cache", &format!("\"{}/.cache", guests.display()))
            .replace(
                "[\"rootfs\"]",
                &format!("[\"{}/recipes/rootfs\"]", guests.display()),
            );
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("network.toml");
        fs::write(&path, recipe).expect("writing the recipe");
        let node = Node::new();
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let id = format!("network-{}-{made}", std::process::id());
        let bundle = node.bundle(&path, "bundle", argv);
        Self {
            node,
            id,
            bundle,
            _recipe: folder,
        }
    }

    fn edit(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let config = self.bundle.join("config.json");
        let mut spec = serde_json::from_slice(&fs::read(&config).expect("a bundle has one"))
            .expect("it is JSON");
        change(&mut spec);
        fs::write(&config, spec.to_string()).expect("writing the bundle");
    }

    fn path(&self) -> &str {
        self.bundle.to_str().expect("our own path")
    }

    fn start(&self) {
        run_leaving(
            &mut self
                .node
                .megarun(&["create", "--bundle", self.path(), &self.id]),
        )
        .success();
        run(&mut self.node.megarun(&["start", &self.id])).success();
    }

    fn exec(&self, line: &[&str]) -> Output {
        self.exec_with(line, b"")
    }

    fn exec_with(&self, line: &[&str], stdin: &[u8]) -> Output {
        let mut command = self.node.megarun(&["exec", &self.id]);
        run_with(command.args(line), stdin)
    }

    /// What a client gets, once the server is there.
    fn exec_until_served(&self, line: &[&str], stdin: &[u8]) -> Output {
        let started = Instant::now();
        loop {
            let output = self.exec_with(line, stdin);
            if output.code == 0 || started.elapsed() > Duration::from_secs(20) {
                return output;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

const SERVER: &[&str] = &[
    "nc",
    "-L",
    "-s",
    "127.0.0.1",
    "-p",
    "28765",
    "httpd",
    "/data",
];

#[test]
fn a_client_and_a_server_meet_in_a_container() {
    let container = Container::new("host", SERVER);
    let poem = fs::read_to_string(subject::guests().join("recipes/rootfs/data/poem.txt"))
        .expect("the poem");
    let get = ["wget", "-O", "-", "http://127.0.0.1:28765/poem.txt"];
    let output = container.exec_until_served(&get, b"");
    assert_eq!(output.success().out(), poem);
    // By name, again and again, also what is not there.
    for _ in 0..10 {
        let output = container.exec(&["wget", "-O", "-", "http://localhost:28765/words.txt"]);
        assert!(output.success().out().lines().count() > 3);
    }
    let output = container.exec(&["wget", "-O", "-", "http://127.0.0.1:28765/nope"]);
    assert!(
        output.code != 0 || output.out().contains("404"),
        "{}",
        output.out()
    );
    // By hand, with the other client.
    let request = b"GET /poem.txt HTTP/1.1\r\n\r\n";
    let output = container.exec_with(&["nc", "127.0.0.1", "28765"], request);
    assert!(output.success().out().ends_with(&poem));
    // Nothing of it is the host's.
    assert!(TcpStream::connect("127.0.0.1:28765").is_err());
}

#[test]
fn a_server_of_another_project_serves_what_it_is_started_on() {
    let server = [
        "nc",
        "-L",
        "-s",
        "127.0.0.1",
        "-p",
        "8081",
        "micro_httpd",
        "/data",
    ];
    let container = Container::new("host", &server);
    let request = b"GET /notes.md HTTP/1.0\r\n\r\n";
    let output = container.exec_until_served(&["nc", "127.0.0.1", "8081"], request);
    let notes = fs::read_to_string(subject::guests().join("recipes/rootfs/data/notes.md"));
    let out = output.success().out();
    assert!(out.starts_with("HTTP/1.0 200 Ok\r\n"), "{out}");
    assert!(out.ends_with(&notes.expect("the notes")), "{out}");
}

#[test]
fn local_sockets_work_between_programs() {
    let container = Container::new("host", &["nc", "-L", "-U", "-s", "/tmp/server", "cat"]);
    let output = container.exec_until_served(&["nc", "-U", "/tmp/server"], b"by a path\n");
    assert_eq!(output.success().out(), "by a path\n");
    let made = fs::symlink_metadata(container.bundle.join("rootfs/tmp/server"));
    assert!(made.expect("it is there").file_type().is_socket());
}

#[test]
fn a_service_manager_hears_that_a_container_is_ready() {
    let line = ["nc", "-u", "-U", "-q", "1"];
    let container = Container::bundled("host", &line);
    let path = container.node.path("manager");
    let manager = UnixDatagram::bind(&path).expect("a socket of our own");
    manager.set_nonblocking(true).expect("setting a flag");
    let said = container.node.path("said");
    fs::write(&said, "STATUS=up\nREADY=1\nMAINPID=7\n").expect("writing a file");
    let said = || fs::File::open(&said).expect("it is there");
    let inside = format!("{}/notify", path.display());
    container.edit(|config| {
        config["process"]["args"] = json!([line.as_slice(), &[inside.as_str()]].concat());
    });
    let megarun = |args: &[&str]| {
        let mut command = container.node.megarun(args);
        command.env("NOTIFY_SOCKET", &path);
        command
    };
    let ready = || {
        let mut message = [0; 64];
        let length = manager.recv(&mut message).expect("it has been told");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    // `start` returns when it is ready and not before.
    let (bundle, id) = (container.path(), container.id.as_str());
    run_leaving_with(&mut megarun(&["create", "--bundle", bundle, id]), said()).success();
    assert!(manager.recv(&mut [0; 64]).is_err());
    run(&mut megarun(&["start", id])).success();
    assert_eq!(ready(), "READY=1");
    run(&mut megarun(&["delete", "--force", id])).success();
    for detach in [None, Some("--detach")] {
        let args = ["run", "--bundle", bundle, id].into_iter().chain(detach);
        let args: Vec<_> = args.collect();
        run_leaving_with(&mut megarun(&args), said()).success();
        assert_eq!(ready(), "READY=1", "{detach:?}");
    }
    run(&mut megarun(&["delete", "--force", id])).success();
    // One that ends without a word is not waited for.
    container.edit(|config| config["process"]["args"] = json!(["echo", "moon"]));
    run_leaving_with(&mut megarun(&["create", "--bundle", bundle, id]), said()).success();
    run(&mut megarun(&["start", id])).success();
    assert!(manager.recv(&mut [0; 64]).is_err());
    run(&mut megarun(&["delete", "--force", id])).success();
    assert!(container.node.containers().is_empty());
}

#[test]
fn datagrams_are_echoed() {
    let server = ["nc", "-u", "-l", "-s", "127.0.0.1", "-p", "5353", "cat"];
    let container = Container::new("host", &server);
    let client = ["nc", "-u", "-q", "1", "127.0.0.1", "5353"];
    let started = Instant::now();
    // One that is sent before the server is there is lost.
    while container.exec_with(&client, b"a line\n").out() != "a line\n" {
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn the_library_keeps_its_promises() {
    let container = Container::new("host", &["sleep", "1000"]);
    let output = container.exec(&["net", "check"]);
    assert_eq!(output.code, 0, "{}", output.err());
}

#[test]
fn none_and_restricted_make_no_sockets() {
    // toybox's nc sets options on what it has before it looks whether that is a socket: under `none` that call is
    // refused too.
    for (networking, unseen) in [
        ("none", "setsockopt: Permission denied"),
        ("restricted", "setsockopt: Bad file descriptor"),
    ] {
        let container = Container::new(networking, &["sleep", "1000"]);
        let output = container.exec(&["net", "refused"]);
        assert_eq!(output.code, 0, "{networking}: {}", output.err());
        for (line, said) in [
            (
                &["wget", "-O", "-", "http://127.0.0.1:1/"][..],
                "Permission denied",
            ),
            (&["nc", "127.0.0.1", "1"], "Permission denied"),
            (&["nc", "-l", "-p", "28765"], unseen),
            (&["nc", "-l", "-U", "-s", "/tmp/s"], "Permission denied"),
        ] {
            let output = container.exec(line);
            assert_ne!(output.code, 0, "{line:?}");
            assert!(output.err().contains(said), "{line:?}: {}", output.err());
        }
        let audit = fs::read_to_string(container.node.path("audit.jsonl")).expect("an audit");
        assert!(audit.contains(r#""call":"socket""#), "{audit}");
    }
}

/// Runs the bundle in the foreground with a listening socket handed in as descriptor 3.
fn run_with_socket(
    container: &Container,
    listener: &TcpListener,
) -> std::thread::JoinHandle<Output> {
    let fd = listener.as_raw_fd();
    let mut command = container
        .node
        .megarun(&["run", "--preserve-fds", "1", "--bundle"]);
    command.args([container.path(), &container.id]);
    // SAFETY: `dup2` and `fcntl` are all that happens between fork and exec, and may happen there.
    unsafe {
        command.pre_exec(move || {
            let done = if fd == 3 {
                libc::fcntl(3, libc::F_SETFD, 0)
            } else {
                libc::dup2(fd, 3)
            };
            if done < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    std::thread::spawn(move || run(&mut command))
}

#[test]
fn restricted_serves_on_what_the_engine_hands_in() {
    let container = Container::bundled("restricted", &["net", "serve", "4"]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let running = run_with_socket(&container, &listener);
    let mut client =
        TcpStream::connect(listener.local_addr().expect("its own")).expect("it listens");
    client.write_all(b"a question").expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("answered");
    assert_eq!(answer, "got a question");
    running.join().expect("it ran").success();
}

#[test]
fn none_starts_nothing_that_is_handed_a_socket() {
    let container = Container::bundled("none", &["net", "serve", "4"]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let output = run_with_socket(&container, &listener)
        .join()
        .expect("it ran");
    assert_ne!(output.code, 0);
    assert!(output.err().contains("socket"), "{}", output.err());
}

/// A name server of this test's: what it answers is in the first label.
struct NameServer {
    address: &'static str,
    over: &'static AtomicBool,
    threads: Vec<std::thread::JoinHandle<()>>,
}

const LIMIT: Option<Duration> = Some(Duration::from_millis(50));

impl NameServer {
    fn new(address: &'static str) -> Self {
        let over: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let udp = UdpSocket::bind((address, 53)).expect("port 53 of an address of the loopback");
        udp.set_read_timeout(LIMIT).expect("a limit");
        let tcp = TcpListener::bind((address, 53)).expect("the same port");
        tcp.set_nonblocking(true).expect("not waiting");
        let by_udp = std::thread::spawn(move || {
            let mut question = [0; 512];
            while !over.load(Ordering::Relaxed) {
                if let Ok((len, from)) = udp.recv_from(&mut question) {
                    for answer in answers(&question[..len], false) {
                        let _ = udp.send_to(&answer, from);
                    }
                }
            }
        });
        let by_tcp = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let Ok((mut client, _)) = tcp.accept() else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                let _ = client.set_nonblocking(false);
                let mut len = [0; 2];
                if client.read_exact(&mut len).is_err() {
                    continue;
                }
                let mut question = vec![0; u16::from_be_bytes(len).into()];
                if client.read_exact(&mut question).is_ok() {
                    let answer = answers(&question, true).remove(0);
                    let _ = client.write_all(&(answer.len() as u16).to_be_bytes());
                    let _ = client.write_all(&answer);
                }
            }
        });
        Self {
            address,
            over,
            threads: vec![by_udp, by_tcp],
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One answer record: owner (2 bytes of it are a pointer), type, data.
fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let fixed = [&kind.to_be_bytes()[..], &[0, 1, 0, 0, 0, 60]].concat();
    [owner, &fixed, &(data.len() as u16).to_be_bytes(), data].concat()
}

fn name(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in text.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn answers(question: &[u8], by_tcp: bool) -> Vec<Vec<u8>> {
    let first = &question[13..13 + usize::from(question[12])];
    let kind = question[question.len() - 3];
    let answer = |code: u8, flags: u8, records: &[Vec<u8>]| {
        let mut out = question.to_vec();
        out[2] = 0x80 | flags;
        out[3] = code;
        out[7] = records.len() as u8;
        out.extend(records.concat());
        out
    };
    const ASKED: &[u8] = &[0xc0, 12];
    let mut foreign = answer(0, 0, &[record(ASKED, 1, &[6, 6, 6, 6])]);
    foreign[0] ^= 1;
    let mut other = answer(0, 0, &[record(ASKED, 1, &[6, 6, 6, 6])]);
    other[14] ^= 2;
    if question.windows(7).any(|label| label == b"nowhere") {
        return vec![answer(3, 0, &[])];
    }
    match (first, kind) {
        (b"both", 1) => vec![answer(0, 0, &[record(ASKED, 1, &[10, 0, 0, 1])])],
        (b"both", 28) => vec![answer(
            0,
            0,
            &[record(
                ASKED,
                28,
                &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            )],
        )],
        (b"alias", 1) => vec![answer(
            0,
            0,
            &[
                record(ASKED, 5, &name("real.test")),
                record(&name("real.test"), 1, &[10, 0, 0, 2]),
                record(&name("unasked.test"), 1, &[6, 6, 6, 6]),
            ],
        )],
        // Lies of others come first.
        (b"lied", 1) => vec![
            foreign,
            other,
            question.to_vec(),
            vec![0; 3],
            answer(0, 0, &[record(ASKED, 1, &[10, 0, 0, 3])]),
        ],
        (b"long", 1) if by_tcp => vec![answer(
            0,
            0,
            &(1..=20)
                .map(|n| record(ASKED, 1, &[10, 1, 0, n]))
                .collect::<Vec<_>>(),
        )],
        (b"long", 1) => vec![answer(0, 2, &[])],
        // Names that lead to themselves, out of the message, or are cut.
        (b"loop", 1) => vec![answer(
            0,
            0,
            &[record(&[0xc0, question.len() as u8], 1, &[6, 6, 6, 6])],
        )],
        (b"out", 1) => vec![answer(0, 0, &[record(&[0xff, 0xff], 1, &[6, 6, 6, 6])])],
        (b"cut", 1) => {
            let mut cut = answer(0, 0, &[record(ASKED, 1, &[6, 6, 6, 6])]);
            cut.truncate(cut.len() - 2);
            vec![cut]
        }
        (b"short", 1) => vec![answer(0, 0, &[record(ASKED, 1, &[6, 6])])],
        (b"fails", _) => vec![answer(2, 0, &[])],
        (b"silent", _) => vec![],
        (_, 12) => vec![answer(0, 0, &[record(ASKED, 12, &name("host.test"))])],
        _ => vec![answer(0, 0, &[])],
    }
}

#[test]
fn names_are_found_in_files_and_by_servers() {
    let server = NameServer::new("127.0.0.77");
    let container = Container::bundled("host", &["net", "resolve"]);
    // In the host's network, where this test's server is.
    container.edit(|spec| {
        let namespaces = spec["linux"]["namespaces"]
            .as_array_mut()
            .expect("namespaces");
        namespaces.retain(|one| one["type"] != "network");
        spec["process"]["args"] = serde_json::json!([
            "net",
            "resolve",
            "ada",
            "ADA.example.test",
            "both.test",
            "alias.test",
            "lied.test",
            "long.test",
            "both",
            "nowhere.test",
            "empty.test",
            "loop.test",
            "out.test",
            "cut.test",
            "short.test",
            "fails.test",
            "silent.test",
            "a..b",
            "127.0.0.1",
            "::1",
        ]);
    });
    let etc = container.bundle.join("rootfs/etc");
    fs::write(
        etc.join("resolv.conf"),
        format!(
            "# a comment\nnameserver {}\nsearch nowhere.test test\noptions timeout:1 attempts:1 ndots:1\n",
            server.address
        ),
    )
    .expect("writing resolv.conf");
    fs::write(
        etc.join("hosts"),
        "10.9.8.7 ada.example.test ada # she\n::1 ada\n",
    )
    .expect("writing hosts");
    let output =
        run(&mut container
            .node
            .megarun(&["run", "--bundle", container.path(), &container.id]));
    let expected = "ada: (ada.example.test) 10.9.8.7 ::1
ADA.example.test: (ada.example.test) 10.9.8.7
both.test: (both.test) WHERE
alias.test: (real.test) 10.0.0.2
lied.test: (lied.test) 10.0.0.3
long.test: (long.test) 10.1.0.1 10.1.0.2 10.1.0.3 10.1.0.4 10.1.0.5 10.1.0.6 10.1.0.7 10.1.0.8 10.1.0.9 10.1.0.10 10.1.0.11 10.1.0.12 10.1.0.13 10.1.0.14 10.1.0.15 10.1.0.16 10.1.0.17 10.1.0.18 10.1.0.19 10.1.0.20
both: (both.test) WHERE
nowhere.test: Name or service not known
empty.test: The name has no such address
loop.test: The name servers refuse
out.test: The name servers refuse
cut.test: The name servers refuse
short.test: The name has no such address
fails.test: The name servers refuse
silent.test: Temporary failure in name resolution
a..b: Name or service not known
127.0.0.1: (127.0.0.1) 127.0.0.1
::1: (::1) ::1
";
    // Which family comes first depends on what the host can reach.
    let got = output.clone().success().out();
    let got = got
        .replace("fd00::1 10.0.0.1", "WHERE")
        .replace("10.0.0.1 fd00::1", "WHERE");
    assert_eq!(got, expected, "{}", output.err());

    container.edit(|spec| {
        spec["process"]["args"] = serde_json::json!(["net", "reverse", "10.9.8.7"]);
    });
    let megarun = |id: &str| {
        run(&mut container
            .node
            .megarun(&["run", "--bundle", container.path(), id]))
    };
    assert_eq!(
        megarun(&format!("{}-r", container.id)).success().out(),
        "ada.example.test\n"
    );
    container.edit(|spec| {
        spec["process"]["args"] = serde_json::json!(["net", "reverse", "10.9.8.8"]);
    });
    assert_eq!(
        megarun(&format!("{}-s", container.id)).success().out(),
        "host.test\n"
    );
}
