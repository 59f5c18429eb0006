//! How the processes of virtual kernels are shown. Their names and arguments are the guests' to
//! choose, so nothing of them reaches a terminal that could command it.

use std::fmt::Write;

use serde::Serialize;
use vkernel::ps::report::{Process, Report};

/// One process.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The process of the host that its kernel is.
    host_pid: i32,
    /// What the kernel says of it.
    #[serde(flatten)]
    guest: Process,
}

/// The processes that these kernels, by their process on the host, have said to have.
pub fn rows(reports: Vec<(i32, Report)>) -> Vec<Row> {
    let of = |(host_pid, report): (i32, Report)| {
        let rows = report.processes.into_iter();
        rows.map(move |guest| Row { host_pid, guest })
    };
    reports.into_iter().flat_map(of).collect()
}

/// For programs: a list with an object for each.
pub fn json(rows: &[Row]) -> String {
    let text = serde_json::to_string_pretty(rows)
        .expect("documents of ours have only keys that are texts");
    // JSON lets most of them stand as they are; between its words there is none but the newline.
    let mut safe = String::with_capacity(text.len() + 1);
    for char in text.chars() {
        match char {
            '\n' => safe.push(char),
            char if commands(char) => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    // A String takes everything.
                    let _ = write!(safe, "\\u{unit:04x}");
                }
            }
            char => safe.push(char),
        }
    }
    safe + "\n"
}

/// For people.
pub fn table(rows: &[Row]) -> String {
    const HEAD: [&str; 7] = ["HOST", "PID", "PPID", "STATE", "TIME", "PROGRAM", "COMMAND"];
    let cells = |row: &Row| {
        let guest = &row.guest;
        [
            row.host_pid.to_string(),
            guest.pid.to_string(),
            guest.ppid.to_string(),
            guest.state.word().to_owned(),
            time(guest.cpu_ms),
            shown(&guest.program),
            shown(&guest.args.join(" ")),
        ]
    };
    let lines: Vec<[String; 7]> = std::iter::once(HEAD.map(str::to_owned))
        .chain(rows.iter().map(cells))
        .collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let width = |line: &[String; 7]| line[column].chars().count();
        lines.iter().map(width).max().unwrap_or(0)
    });
    let line = |line: &[String; 7]| {
        let cells = line.iter().zip(widths).enumerate();
        let padded = cells.map(|(column, (cell, width))| match column {
            // Numbers stand right.
            0..=2 | 4 => format!("{cell:>width$}"),
            _ => format!("{cell:width$}"),
        });
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    lines.iter().map(line).collect()
}

/// Minutes, seconds and milliseconds.
fn time(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    format!("{}:{:02}.{rest:03}", seconds / 60, seconds % 60)
}

/// A guest's text with what a terminal would take for commands written out.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match commands(char) {
            true => shown.extend(char.escape_default()),
            false => shown.push(char),
        }
    }
    shown
}

/// Whether a terminal does something else with it than to show it: control characters, what turns
/// the direction of writing round, and what has no width.
fn commands(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use vkernel::ps::State;

    use super::*;

    fn process(args: &[&str]) -> Process {
        Process {
            pid: 12,
            ppid: 1,
            pgid: 12,
            sid: 1,
            state: State::Sleeping,
            cpu_ms: 61_005,
            program: "/bin/cat".into(),
            args: args.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn of(args: &[&str]) -> Vec<Row> {
        let processes = vec![process(args)];
        rows(vec![(4711, Report { processes })])
    }

    #[test]
    fn columns_line_up() {
        let text = table(&of(&["cat", "/x"]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "HOST  PID  PPID  STATE         TIME  PROGRAM   COMMAND",
                "4711   12     1  sleeping  1:01.005  /bin/cat  cat /x"
            ]
        );
        assert_eq!(table(&[]).lines().count(), 1);
    }

    #[test]
    fn no_argument_commands_the_terminal_or_makes_a_line_of_its_own() {
        let evil = [
            "\u{1b}[2Jx\r\n4711 1 0 root",
            "\u{9b}31m",
            "\u{202e}gnp.exe",
            "a\u{200b}b\u{e0041}",
            "tab\there",
        ];
        let rows = of(&evil);
        for text in [table(&rows), json(&rows)] {
            let commands = text.chars().find(|char| *char != '\n' && commands(*char));
            assert_eq!(commands, None, "{text:?}");
        }
        assert_eq!(table(&rows).lines().count(), 2);
        let read: serde_json::Value = serde_json::from_str(&json(&rows)).unwrap();
        assert_eq!(read[0]["args"], serde_json::json!(evil));
        assert_eq!(read[0]["host_pid"], 4711);
        assert_eq!(read[0]["state"], "sleeping");
    }
}
