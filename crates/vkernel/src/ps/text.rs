//! The files of `/proc/PID`, as Linux writes them; what a virtual process has not is 0.

use std::time::Duration;

use super::{Info, comm};

/// Ticks a second in which `stat` counts, on every Linux.
const TICKS: u128 = 100;

fn ticks(time: Duration) -> u128 {
    time.as_nanos() * TICKS / 1_000_000_000
}

/// `/proc/PID/stat`: one line of 52 fields. The terminal's number is not told: nothing else tells a
/// guest the numbers of devices, so it could compare it with nothing.
pub fn stat(info: &Info) -> Vec<u8> {
    let entry = &info.entry;
    let head = format!("{} (", entry.pid);
    let tail = format!(
        ") {} {} {} {} 0 {} 0 0 0 0 0 {} 0 0 0 20 0 1 0 {} 0 0{}\n",
        info.state.letter(),
        entry.parent,
        entry.group,
        entry.session,
        entry.front.map_or(-1, i64::from),
        ticks(info.used),
        ticks(info.began),
        " 0".repeat(28),
    );
    [head.as_bytes(), comm(info.arguments()), tail.as_bytes()].concat()
}

/// `/proc/PID/statm`: sizes in pages, which are not told.
pub fn statm() -> Vec<u8> {
    b"0 0 0 0 0 0 0\n".to_vec()
}

/// `/proc/PID/status`.
pub fn status(info: &Info, descriptors: u32) -> Vec<u8> {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    let entry = &info.entry;
    let pid = entry.pid;
    let rest = format!(
        "\nState:\t{} ({})\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t{}\nTracerPid:\t0\n\
         Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\n\
         FDSize:\t{descriptors}\nNStgid:\t{pid}\nNSpid:\t{pid}\nNSpgid:\t{}\nNSsid:\t{}\nThreads:\t1\n",
        info.state.letter(),
        info.state.word(),
        entry.parent,
        entry.group,
        entry.session,
    );
    let name: Vec<u8> = comm(info.arguments())
        .iter()
        // As Linux: a name cannot make a line of its own.
        .flat_map(|byte| match byte {
            b'\n' => b"\\n".to_vec(),
            b'\\' => b"\\\\".to_vec(),
            byte => vec![*byte],
        })
        .collect();
    [b"Name:\t", &name[..], rest.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{stat, status};
    use crate::ps::{Info, State};
    use crate::table::Entry;

    fn info(name: &str) -> Info {
        let info = Info {
            entry: Entry::alone(7),
            state: State::Sleeping,
            used: Duration::from_millis(1234),
            began: Duration::from_secs(60),
            about: None,
            arguments: Vec::new(),
        };
        info.called(&[name.as_bytes().to_vec()])
    }

    #[test]
    fn the_line_of_numbers_has_linuxs_fields_in_linuxs_places() {
        let line = String::from_utf8(stat(&info("/bin/a) b"))).unwrap();
        let (head, tail) = line.rsplit_once(')').unwrap();
        assert_eq!(head, "7 (a) b");
        // From the third field on, which is the state.
        let fields: Vec<&str> = tail.split_whitespace().collect();
        assert_eq!(fields.len(), 52 - 2);
        assert_eq!(fields[..6], ["S", "0", "7", "7", "0", "-1"]);
        assert_eq!((fields[11], fields[17], fields[19]), ("123", "1", "6000"));
        assert!(line.ends_with('\n'));
    }

    #[test]
    fn a_name_makes_no_line_of_its_own() {
        let text = String::from_utf8(status(&info("a\nUid:\t0"), 16)).unwrap();
        assert!(text.starts_with("Name:\ta\\nUid:\t0\nState:\tS (sleeping)\n"));
        assert!(text.contains("\nPPid:\t0\n"));
    }
}
