//! Measurements in turns, and the table of them.

use std::time::Duration;

/// The middle of some times, and the bounds of the eight tenths around it.
pub struct Spread {
    pub median: Duration,
    p10: Duration,
    p90: Duration,
}

impl Spread {
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self {
            median: times[times.len() / 2],
            p10: times[times.len() / 10],
            p90: times[times.len() * 9 / 10],
        }
    }
}

/// The head of a table of [`row`]s.
pub fn head() -> String {
    let names = ["row", "runtime", "median", "p10", "p90", "ratio"];
    let [row, runtime, median, p10, p90, ratio] = names;
    format!("{row:<44} {runtime:<12} {median:>9} {p10:>9} {p90:>9} {ratio:>7}")
}

/// A line of a table: its median's ratio is to `reference`.
pub fn row(row: &str, name: &str, spread: &Spread, reference: Duration) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let ratio = ms(spread.median) / ms(reference);
    let [median, p10, p90] = [spread.median, spread.p10, spread.p90].map(ms);
    format!("{row:<44} {name:<12} {median:>6.2} ms {p10:>6.2} ms {p90:>6.2} ms {ratio:>7.2}")
}

/// A line about memory, in KiB.
pub fn size_row(row: &str, name: &str, size: u64, reference: u64) -> String {
    let ratio = size as f64 / reference as f64;
    format!(
        "{row:<44} {name:<12} {size:>6} KiB {:>20} {ratio:>10.2}",
        ""
    )
}

/// `rounds` measurements of each contender, in turns, each round starting with another.
pub fn race<C>(
    row: &str,
    rounds: usize,
    contenders: &[C],
    measure: impl Fn(&C, usize) -> Duration,
) -> Vec<Spread> {
    eprintln!("{row}: {rounds} rounds");
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            times[at].push(measure(&contenders[at], round));
        }
    }
    times.into_iter().map(Spread::of).collect()
}
