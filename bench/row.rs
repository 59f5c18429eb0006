//! A row of the benchmarks' table.

/// Prints what was measured, in `unit`: the middle of the values and the bounds of their middle half.
/// Nothing where nothing was.
pub fn row(name: &str, unit: &str, mut values: Vec<f64>) {
    if values.is_empty() {
        return;
    }
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values[values.len() * part / 4];
    println!(
        "{name:<56} {:>10.2} {unit} ({:.2} .. {:.2})",
        at(2),
        at(1),
        at(3)
    );
}

/// The same of times, in microseconds.
#[allow(dead_code, reason = "each benchmark uses a part")]
pub fn times(name: &str, times: &[std::time::Duration]) {
    row(
        name,
        "us",
        times.iter().map(|time| time.as_secs_f64() * 1e6).collect(),
    );
}
