//! The arguments of `update`.

use std::path::PathBuf;

use clap::Args;

/// How to change limits.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// File with `linux.resources` as JSON; `-` for standard input
    #[arg(
        short,
        long,
        value_name = "FILE",
        required_unless_present = "limits",
        conflicts_with = "limits"
    )]
    pub resources: Option<PathBuf>,
    /// The limits one by one
    #[command(flatten)]
    pub limits: Limits,
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Limits one by one. Sizes in bytes, or with one of the letters k, m, g and t; times in
/// microseconds.
#[derive(Debug, Default, Args)]
#[group(id = "limits", multiple = true)]
pub struct Limits {
    /// Weight of its I/O, 10 to 1000
    #[arg(long, value_name = "N")]
    pub blkio_weight: Option<u16>,
    /// Period of the CPU quota
    #[arg(long, value_name = "US")]
    pub cpu_period: Option<u64>,
    /// CPU time in each period
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub cpu_quota: Option<i64>,
    /// Share of the CPU
    #[arg(long, value_name = "N")]
    pub cpu_share: Option<u64>,
    /// Period of the real-time CPU quota
    #[arg(long, value_name = "US")]
    pub cpu_rt_period: Option<u64>,
    /// Real-time CPU time in each period
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// CPUs to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Memory
    #[arg(long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
    pub memory: Option<i64>,
    /// Memory that it keeps when there is little
    #[arg(long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
    pub memory_reservation: Option<i64>,
    /// Memory and swap together; -1 for no limit
    #[arg(long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
    pub memory_swap: Option<i64>,
    /// Number of processes
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// Kernel memory: not supported
    #[arg(long, value_name = "SIZE", hide = true)]
    pub kernel_memory: Option<String>,
    /// Kernel memory for TCP: not supported
    #[arg(long, value_name = "SIZE", hide = true)]
    pub kernel_memory_tcp: Option<String>,
    /// Intel RDT: not supported
    #[arg(long, value_name = "SCHEMA", hide = true)]
    pub l3_cache_schema: Option<String>,
    /// Intel RDT: not supported
    #[arg(long, value_name = "SCHEMA", hide = true)]
    pub mem_bw_schema: Option<String>,
}

/// A number of bytes as runc and docker take it.
fn size(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a size such as 64m, or -1");
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &lower[digits.len()..] {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let number: i64 = digits.parse().map_err(|_| wrong())?;
    match number {
        -1 if shift == 0 => Ok(-1),
        0.. => number.checked_mul(1 << shift).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64m", 64 << 20),
            ("64MiB", 64 << 20),
            ("2G", 2 << 30),
            ("-1", -1),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "m",
            "-2",
            "-1k",
            "1.5g",
            "9223372036854775807k",
            "1 m",
            "0x10",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
