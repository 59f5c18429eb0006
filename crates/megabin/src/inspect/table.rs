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

/// Columns as wide as their widest cell; the last one runs free.
pub(super) fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter()
            .filter_map(|r| r.get(c))
            .map(|t| t.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0) + 2).collect();
    for cells in rows {
        let mut line = String::new();
        for (c, cell) in cells.iter().enumerate() {
            let pad = if c + 1 == columns { 0 } else { widths[c] };
            let _ = write!(line, "{cell:pad$}");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
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
