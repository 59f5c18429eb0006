//! Counters of cgroup v2.

use std::path::Path;

use super::files::{self, Dir};
use super::{Blkio, BlkioEntry, Cpu, CpuUsage, Memory, MemoryEntry, Pids, Stats, Throttling};

/// Nanoseconds in a microsecond.
const MICRO: u64 = 1000;

pub fn read(path: &Path) -> Stats {
    let dir = Dir(Some(path));
    Stats {
        cpu: cpu(&dir),
        memory: memory(&dir),
        pids: Pids {
            current: dir.number("pids.current"),
            limit: dir.text("pids.max").trim().parse().unwrap_or(0),
        },
        blkio: blkio(&dir.text("io.stat")),
        ..Stats::default()
    }
}

pub fn out_of_memory(path: &Path) -> u64 {
    let events = Dir(Some(path)).table("memory.events");
    events.get("oom_kill").copied().unwrap_or(0)
}

fn cpu(dir: &Dir<'_>) -> Cpu {
    let stat = dir.table("cpu.stat");
    let count = |name: &str| stat.get(name).copied().unwrap_or(0);
    let time = |name: &str| count(name).saturating_mul(MICRO);
    Cpu {
        usage: CpuUsage {
            total: time("usage_usec"),
            kernel: time("system_usec"),
            user: time("user_usec"),
            ..CpuUsage::default()
        },
        throttling: Throttling {
            periods: count("nr_periods"),
            throttled_periods: count("nr_throttled"),
            throttled_time: time("throttled_usec"),
        },
    }
}

fn memory(dir: &Dir<'_>) -> Memory {
    let entry = |prefix: &str| MemoryEntry {
        limit: dir.number(&format!("{prefix}.max")),
        usage: dir.number(&format!("{prefix}.current")),
        ..MemoryEntry::default()
    };
    let (usage, mut swap) = (entry("memory"), entry("memory.swap"));
    // The document counts memory and swap together, as v1 does.
    swap.usage = swap.usage.saturating_add(usage.usage);
    swap.limit = match swap.limit {
        0 => 0,
        limit => limit.saturating_add(usage.limit),
    };
    let raw = dir.table("memory.stat");
    Memory {
        cache: raw.get("file").copied().unwrap_or(0),
        usage,
        swap,
        raw,
        ..Memory::default()
    }
}

/// Lines of `major:minor name=value ...`.
fn blkio(text: &str) -> Blkio {
    let mut blkio = Blkio::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let device = words.next().and_then(|device| device.split_once(':'));
        let Some((major, minor)) = device else {
            continue;
        };
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, op) = match name {
                "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
                "rios" => (&mut blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut blkio.io_serviced_recursive, "Write"),
                _ => continue,
            };
            list.push(BlkioEntry {
                major: files::number(major),
                minor: files::number(minor),
                op: op.to_owned(),
                value: files::number(value),
            });
        }
    }
    blkio
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(files: &[(&str, &str)]) -> serde_json::Value {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        serde_json::to_value(read(dir.path())).unwrap()
    }

    #[test]
    fn the_document_is_that_of_v1() {
        let stats = stats(&[
            (
                "cpu.stat",
                "usage_usec 5\nuser_usec 2\nsystem_usec 3\nnr_periods 4\n",
            ),
            ("memory.current", "100\n"),
            ("memory.max", "200\n"),
            ("memory.swap.current", "10\n"),
            ("memory.swap.max", "50\n"),
            ("memory.stat", "anon 7\nfile 8\n"),
            ("pids.current", "3\n"),
            ("pids.max", "max\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5\n"),
        ]);
        assert_eq!(stats["cpu"]["usage"]["total"], 5000);
        assert_eq!(stats["cpu"]["throttling"]["periods"], 4);
        assert_eq!(
            stats["memory"]["usage"],
            serde_json::json!({"limit": 200, "usage": 100, "failcnt": 0})
        );
        assert_eq!(stats["memory"]["swap"]["limit"], 250);
        assert_eq!(stats["memory"]["cache"], 8);
        assert_eq!(stats["pids"], serde_json::json!({"current": 3}));
        assert_eq!(
            stats["blkio"]["ioServicedRecursive"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn no_limit_of_memory_is_the_largest_number() {
        let stats = stats(&[("memory.max", "max\n"), ("memory.swap.max", "max\n")]);
        assert_eq!(stats["memory"]["usage"]["limit"], u64::MAX);
        assert_eq!(stats["memory"]["swap"]["limit"], u64::MAX);
    }
}
