//! Exec, attach and logs with streams.

use integration_tests::engines::GUEST;
use kubernetes_tests::Pod;
use kubernetes_tests::stream::{RESIZE, STDIN, STDOUT};

#[test]
fn an_exec_talks_and_tells_how_it_ended() {
    let pod = Pod::new();
    let container = pod.start(GUEST, &["sleep", "1000"]);
    let (out, err, status) = container
        .exec_stream(&["cat", "/data/word"], false)
        .finish();
    assert_eq!((out.as_str(), err.as_str()), ("moon\n", ""));
    assert!(status.contains("Success"), "{status}");

    let (_, _, status) = container.exec_stream(&["exit", "7"], false).finish();
    assert!(
        status.contains("\"ExitCode\"") && status.contains("\"7\""),
        "{status}"
    );

    let (_, err, _) = container.exec_stream(&["cat", "/nosuch"], false).finish();
    assert!(err.contains("nosuch"), "{err}");

    let mut echo = container.exec_stream(&["cat"], false);
    echo.send(STDIN, b"tide\n");
    echo.read_until(STDOUT, "tide\n");
    let long = vec![b'x'; 4000];
    echo.send(STDIN, &long);
    echo.send(STDIN, b"\n");
    echo.read_until(STDOUT, "x\n");
}

#[test]
fn an_exec_with_a_terminal_has_one() {
    let pod = Pod::new();
    let container = pod.start(GUEST, &["sleep", "1000"]);
    let mut terminal = container.exec_stream(&["cat"], true);
    terminal.send(RESIZE, br#"{"Width":100,"Height":40}"#);
    terminal.send(STDIN, b"tide\n");
    // The terminal's echo, then the program's answer.
    terminal.read_until(STDOUT, "tide\r\ntide\r\n");
    // End of file by the terminal's own key.
    terminal.send(STDIN, b"\x04");
    let (_, _, status) = terminal.finish();
    assert!(status.contains("Success"), "{status}");
}

#[test]
fn a_container_is_attached_to() {
    let pod = Pod::new();
    let container = pod.start_with(GUEST, &["cat"], |config| {
        config.stdin = true;
        config.stdin_once = true;
    });
    let mut stream = container.attach(false);
    stream.send(STDIN, b"tide\n");
    stream.read_until(STDOUT, "tide\n");
    // The first that leaves closes standard input, and cat ends.
    drop(stream);
    assert_eq!(container.ended().exit_code, 0);
    assert_eq!(container.log(), ["stdout F tide"]);
}

#[test]
fn a_container_with_a_terminal_is_attached_to() {
    let pod = Pod::new();
    let container = pod.start_with(GUEST, &["cat"], |config| {
        config.stdin = true;
        config.tty = true;
    });
    let mut stream = container.attach(true);
    stream.send(STDIN, b"tide\n");
    stream.read_until(STDOUT, "tide\r\ntide\r\n");
    // Interrupted by the terminal's own key.
    stream.send(STDIN, b"\x03");
    assert_eq!(container.ended().exit_code, 130);
}
