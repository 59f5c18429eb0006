//! Telling people and engines what went wrong: one line on standard error, and one in `--log`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::SystemTime;

use log::{LevelFilter, Log, Metadata, Record};
use serde::Serialize;

use crate::container::record::rfc3339;
use crate::failure::{Doing, Failure};

/// The format of `--log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `time="…" level=… msg="…"`
    Text,
    /// One JSON object on each line.
    Json,
}

/// Writes log lines to a file, or errors and warnings to standard error.
struct Logger {
    file: Option<Mutex<File>>,
    format: Format,
}

#[derive(Serialize)]
struct Line<'a> {
    msg: &'a str,
    level: &'a str,
    time: &'a str,
}

/// Sets logging up. Without a file, warnings go to standard error.
pub fn set_up(file: Option<&Path>, format: Format, debug: bool) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let open = |path: &Path| {
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOCTTY)
            .open(path)
            .doing(|| format!("opening --log `{}`", path.display()))
    };
    let file = file.map(open).transpose()?.map(Mutex::new);
    let level = if debug {
        LevelFilter::Debug
    } else {
        LevelFilter::Warn
    };
    log::set_max_level(level);
    log::set_boxed_logger(Box::new(Logger { file, format }))
        .expect("logging is set up once, at the start");
    Ok(())
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args().to_string();
        let level = record.level().as_str().to_ascii_lowercase();
        match &self.file {
            Some(file) => {
                let line = line(self.format, &message, &level, &rfc3339(SystemTime::now()));
                // One write, so that lines of two commands do not mix. There is nowhere else to
                // report that the log cannot be written.
                let mut file = file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let _ = file.write_all(line.as_bytes());
            }
            None if record.level() == log::Level::Error => {}
            None => eprintln!("megarun: {level}: {message}"),
        }
    }

    fn flush(&self) {}
}

fn line(format: Format, msg: &str, level: &str, time: &str) -> String {
    match format {
        Format::Json => {
            let line = serde_json::to_string(&Line { msg, level, time });
            line.expect("texts always have a JSON form") + "\n"
        }
        Format::Text => format!("time=\"{time}\" level={level} msg={msg:?}\n"),
    }
}

/// Reports the error that ends the program: to the log, and as one line to standard error.
pub fn error(message: &str) {
    let message = message.replace(['\n', '\r'], " ");
    log::error!("{message}");
    // Standard error may be closed.
    let _ = writeln!(std::io::stderr(), "megarun: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_are_what_engines_read() {
        let line = line(Format::Json, "a \"b\"\n", "error", "T");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"msg": "a \"b\"\n", "level": "error", "time": "T"})
        );
        assert_eq!(line.matches('\n').count(), 1);
    }

    #[test]
    fn a_text_line_stays_one_line() {
        let line = line(Format::Text, "a\nb", "error", "T");
        assert_eq!(line, "time=\"T\" level=error msg=\"a\\nb\"\n");
    }
}
