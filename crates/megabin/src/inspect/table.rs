//! Columns and sizes, as people read them.

use std::fmt::Write;

/// A size as people read it.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let mut scaled = n as f64;
    while scaled >= 1024.0 && unit < UNITS.len() - 1 {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 || scaled.fract() == 0.0 {
        format!("{scaled:.0} {}", UNITS[unit])
    } else {
        format!("{scaled:.1} {}", UNITS[unit])
    }
}

/// Names in one line, the first few of many: what is left of 80 columns behind three others.
pub(super) fn some<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    const ROOM: usize = 47 - " and 9999 more".len();
    let count = names.len();
    let mut text = String::new();
    let mut shown = 0;
    for name in names.take(SHOWN) {
        if shown > 0 && text.chars().count() + 1 + name.chars().count() > ROOM {
            break;
        }
        if shown > 0 {
            text.push(' ');
        }
        text.push_str(name);
        shown += 1;
    }
    if count > shown {
        // Writing to a String cannot fail.
        let _ = write!(text, " and {} more", count - shown);
    }
    text
}

pub(super) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|c| (*c).to_owned()).collect()
}

/// How wide lines get: what a terminal has.
pub(super) const WIDTH: usize = 80;

/// Between two columns.
const GAP: usize = 2;

/// Columns as wide as their widest cell. Where that is too wide together, the first and the last,
/// which hold names, get what room the others leave, and what does not fit goes on below.
pub(super) fn table(out: &mut String, rows: &[Vec<String>]) {
    let widths = widths(rows);
    for cells in rows {
        let cells: Vec<Vec<String>> = (cells.iter().zip(&widths))
            .map(|(cell, width)| wrapped(cell, *width))
            .collect();
        let lines = cells.iter().map(Vec::len).max().unwrap_or(0);
        for nth in 0..lines {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                let part = cell.get(nth).map_or("", String::as_str);
                // Writing to a String cannot fail.
                let _ = write!(line, "{part:width$}{:GAP$}", "");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |c: usize| {
        let cells = rows.iter().filter_map(|row| row.get(c));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..columns).map(widest).collect();
    let whole: usize = widths.iter().sum::<usize>() + GAP * columns.saturating_sub(1);
    if let [first, middle @ .., last] = &mut widths[..]
        && whole > WIDTH
    {
        let taken = middle.iter().sum::<usize>() + GAP * (columns - 1);
        // One is a column of numbers if it is narrow: then the other has the rest.
        let room = WIDTH.saturating_sub(taken).max(2);
        *last = (*last).min((room / 2).max(room.saturating_sub(*first)));
        *first = (*first).min(room - *last);
    }
    widths
}

/// A text in lines of at most `width` characters: broken at spaces, where there are none behind what
/// joins the parts of paths and names, else anywhere.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = text.chars().collect();
    while rest.len() > width {
        // A space may be the character that no longer fits.
        let space = rest[..=width].iter().rposition(|c| *c == ' ');
        let joint = |c: &char| matches!(c, '/' | '-' | '_' | '.' | ',');
        let end = match space.filter(|at| *at > 0) {
            Some(at) => at,
            None => match rest[..width].iter().rposition(joint) {
                Some(at) if at > 0 => at + 1,
                _ => width,
            },
        };
        lines.push(rest[..end].iter().collect());
        rest.drain(..end);
        if rest.first() == Some(&' ') {
            rest.remove(0);
        }
    }
    lines.push(rest.into_iter().collect());
    lines
}

#[cfg(test)]
mod tests {
    use super::{row, table, wrapped};

    #[test]
    fn what_is_too_long_goes_on_below() {
        assert_eq!(wrapped("a bc def", 8), ["a bc def"]);
        assert_eq!(wrapped("a bc def", 7), ["a bc", "def"]);
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("/usr/lib/tool", 7), ["/usr/", "lib/", "tool"]);
        assert_eq!(wrapped("abcdefg", 3), ["abc", "def", "g"]);
        assert_eq!(wrapped("", 3), [""]);
    }

    #[test]
    fn only_columns_of_names_give_way() {
        let (long, name) = ("/usr/lib/".repeat(12), "name-".repeat(12));
        let mut out = String::new();
        let head = row(["RUNS AS", "RIGHTS", "PROGRAM"]);
        table(
            &mut out,
            &[head, row([&long, "AB", &name]), row(["x", "none", "y"])],
        );
        assert!(
            out.lines().all(|line| line.chars().count() <= super::WIDTH),
            "{out}"
        );
        // Nothing is lost, and rights stay in one piece.
        let parts = |column: usize| -> String {
            let lines = out.lines().skip(1).filter(|line| !line.starts_with('x'));
            lines
                .filter_map(|line| line.split("  ").filter(|part| !part.is_empty()).nth(column))
                .collect()
        };
        assert!(out.contains("  AB  ") && out.contains("  none  "), "{out}");
        assert_eq!(parts(0).matches("/usr/lib/").count(), 12, "{out}");

        // A column of numbers at the end stays narrow.
        let mut out = String::new();
        table(&mut out, &[row([&long, "64 KiB to 4 GiB", "1"])]);
        assert!(
            out.starts_with(&long[..54]) && out.lines().count() == 2,
            "{out}"
        );
    }

    #[test]
    fn sizes_read_well() {
        let shown = [0, 1023, 1024, 1536, 65_536 << 16].map(super::bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "4 GiB"]);
    }

    #[test]
    fn many_names_are_cut() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        assert_eq!(super::some(names.into_iter()), "a b c d e and 3 more");
        assert_eq!(super::some(names[..2].iter().copied()), "a b");
        let long = ["a-program-with-a-name", "another-such", "b"];
        let text = super::some(long.into_iter());
        assert_eq!(text, "a-program-with-a-name and 2 more");
    }
}
