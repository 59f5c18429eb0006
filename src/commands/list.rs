//! `megarun list`.

use serde::Serialize;

use super::{CommandError, print};
use crate::cli::{ListArgs, ListFormat};
use crate::container::{Record, Status, Store, StoreError};
use crate::lifecycle::LifecycleError;
use crate::lifecycle::start::load;

/// One container, with the fields that runc lists.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(rename = "ociVersion")]
    oci_version: String,
    id: String,
    pid: i32,
    status: Status,
    bundle: String,
    rootfs: String,
    created: String,
    owner: &'static str,
}

/// Prints all containers.
pub fn run(args: &ListArgs, store: &Store) -> Result<(), CommandError> {
    let mut rows = Vec::new();
    for id in store.ids()? {
        // Another command may remove one meanwhile.
        let loaded = match store
            .open(&id)
            .map_err(LifecycleError::from)
            .and_then(|dir| load(&dir))
        {
            Err(LifecycleError::Store(StoreError::NotFound(_))) => continue,
            loaded => loaded?,
        };
        if let (Some(record), status) = loaded {
            rows.push(row(record, status));
        }
    }
    match (args.quiet, args.format) {
        (true, _) => Ok(print(
            &rows
                .iter()
                .map(|row| format!("{}\n", row.id))
                .collect::<String>(),
        )?),
        (false, ListFormat::Json) => Ok(print(&json(&rows))?),
        (false, ListFormat::Table) => Ok(print(&table(&rows))?),
    }
}

fn row(record: Record, status: Status) -> Row {
    Row {
        pid: if status == Status::Stopped {
            0
        } else {
            record.process.pid
        },
        oci_version: record.oci_version,
        id: record.id,
        status,
        bundle: record.bundle.display().to_string(),
        rootfs: record.rootfs.display().to_string(),
        created: record.created,
        owner: "root",
    }
}

/// On one line, as runc: whoever reads lines has all of it.
fn json(rows: &[Row]) -> String {
    let text = serde_json::to_string(rows).expect("texts and numbers always have a JSON form");
    text + "\n"
}

fn table(rows: &[Row]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let cells = |row: &Row| {
        let (pid, status) = (row.pid.to_string(), row.status.to_string());
        let owner = row.owner.to_owned();
        [
            row.id.clone(),
            pid,
            status,
            row.bundle.clone(),
            row.created.clone(),
            owner,
        ]
    };
    let lines: Vec<[String; 6]> = std::iter::once(head)
        .chain(rows.iter().map(cells))
        .collect();
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].len())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |line: &[String; 6]| {
        let padded = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("   ").trim_end())
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = Row {
            oci_version: "1.0.2".into(),
            id: "a-long-identifier".into(),
            pid: 7,
            status: Status::Running,
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "T".into(),
            owner: "root",
        };
        let text = table(&[row]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].find("PID"), lines[1].find('7'));
        assert_eq!(lines[0].find("OWNER"), lines[1].find("root"));
    }
}
