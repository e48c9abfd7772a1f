//! The one style of tables.

mod fit;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::style::Page;

/// A column: its title, and whether its cells are numbers, which stand to the right.
pub(crate) type Column<'a> = (&'a str, bool);

/// Rows under titles, without lines, so that they can be cut out and searched.
pub(crate) struct Table<'a> {
    columns: &'a [Column<'a>],
    rows: Vec<Vec<String>>,
    spare: &'a [&'a str],
}

/// Lays out rows under titles for standard output.
pub(crate) fn render(columns: &[Column<'_>], rows: Vec<Vec<String>>) -> String {
    Table::new(columns, rows).lay_out(Page::stdout())
}

impl<'a> Table<'a> {
    pub(crate) fn new(columns: &'a [Column<'a>], rows: Vec<Vec<String>>) -> Self {
        Self { columns, rows, spare: &[] }
    }

    /// Names the columns that are left out first on a terminal that is too narrow, the least important
    /// one first. After them it is the turn of those to the right.
    pub(crate) fn spare(self, spare: &'a [&'a str]) -> Self {
        Self { spare, ..self }
    }

    /// The lines. Where they may be as long as they like everything is in them. On a terminal, what does
    /// not fit is shortened or left out, and named below; words for how something ended have colours.
    pub(crate) fn lay_out(&self, page: Page) -> String {
        fit::lay_out(self, page)
    }
}

/// A loss or another small number, to four digits.
pub(crate) fn number(value: f64) -> String {
    format!("{value:.4}")
}

/// Any number, to six digits.
pub(crate) fn significant(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !(1e-4..1e9).contains(&size) {
        return if size == 0.0 { "0".to_owned() } else { format!("{value:.3e}") };
    }
    let before = size.log10().floor() as i32 + 1;
    let text = format!("{value:.*}", usize::try_from(6 - before).unwrap_or(0));
    if text.contains('.') {
        text.trim_end_matches(['0']).trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A share with its sign, in per cent: `+1.2 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}

/// How a loss compares with its baseline, as a share with its sign.
pub(crate) fn against(loss: f64, baseline: f64) -> String {
    if baseline > 0.0 { percent(1.0 - loss / baseline) } else { "n/a".to_owned() }
}

/// A duration in seconds as people say it: `0.4s`, `12s`, `3m 20s`, `2h 5m`, `3d 4h`.
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..10 => format!("{seconds:.1}s"),
        10..60 => format!("{whole}s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        3600..86_400 => format!("{}h {}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d {}h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// A moment on the clock of whoever reads it, to the minute: `2026-11-24 03:12`.
pub(crate) fn local(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A number of bytes as people say it: `312 B`, `24.1 KiB`, `3.0 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// Ascending numbers as people write them: `1-3, 7`.
pub(crate) fn ranges(numbers: impl IntoIterator<Item = u64>) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let run = |(first, last): (u64, u64)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    runs.into_iter().map(run).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_are_short() {
        let shown: Vec<_> =
            [0.0, 0.25, -0.237_012_345, 12_345.678_9, 1e6, 0.000_012_34, 3e12, 100.0, 0.001]
                .map(significant)
                .into();
        let expected = [
            "0",
            "0.25",
            "-0.237012",
            "12345.7",
            "1000000",
            "1.234e-5",
            "3.000e12",
            "100",
            "0.001",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn numbers_in_a_row_are_drawn_together() {
        for (numbers, text) in
            [(&[][..], ""), (&[7], "7"), (&[1, 2, 3, 7], "1-3, 7"), (&[1, 3, 4], "1, 3-4")]
        {
            assert_eq!(ranges(numbers.iter().copied()), text);
        }
        assert_eq!(ranges([u64::MAX]), u64::MAX.to_string());
    }

    #[test]
    fn durations_and_sizes_read_well() {
        let shown: Vec<_> = [0.44, 9.96, 59.4, 200.0, 7500.0, 273_600.0].map(seconds).into();
        assert_eq!(shown, ["0.4s", "10s", "59s", "3m 20s", "2h 5m", "3d 4h"]);
        let shown: Vec<_> = [0, 312, 24_678, 3_145_728].map(bytes).into();
        assert_eq!(shown, ["0 B", "312 B", "24.1 KiB", "3.0 MiB"]);
    }
}
