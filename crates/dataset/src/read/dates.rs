//! Dates, in the few ways in which they can be read in one way only.

use std::str;

use jiff::civil::Date;

/// How the dates of a file are written; the same in all of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateForm {
    /// `2024-12-31`, also with `/` or `.` between, also with a time of day behind, which is dropped.
    YearFirst,
    /// `20241231`.
    Compact,
    /// `31.12.2024`, `31/12/2024` or `31-12-2024`.
    DayFirst,
    /// `12/31/2024` or `12-31-2024`.
    MonthFirst,
    /// `31-Dec-2024`, `Dec 31, 2024`: the month by name, in English.
    Named,
}

/// What one cell says of how the file writes its dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It is settled.
    Settled(DateForm),
    /// Day and month could change places.
    Either,
    /// It is no date.
    None,
}

/// What `cell` says of how dates are written. Where points stand between, the day comes first in
/// every country that writes so; with other marks only a number above 12 tells.
pub(super) fn evidence(cell: &[u8]) -> Evidence {
    if numbers(day_of(cell), 4).is_some() {
        return Evidence::Settled(DateForm::YearFirst);
    }
    if cell.len() == 8 && cell.iter().all(u8::is_ascii_digit) {
        return Evidence::Settled(DateForm::Compact);
    }
    if named(cell).is_some() {
        return Evidence::Settled(DateForm::Named);
    }
    let Some(([first, second, _], mark)) = numbers(cell, 2) else { return Evidence::None };
    match (first > 12, second > 12) {
        (true, true) => Evidence::None,
        (true, false) => Evidence::Settled(DateForm::DayFirst),
        _ if mark == b'.' => Evidence::Settled(DateForm::DayFirst),
        (false, true) => Evidence::Settled(DateForm::MonthFirst),
        (false, false) => Evidence::Either,
    }
}

/// The date in `cell`, written in this form.
pub(super) fn parse(cell: &[u8], form: DateForm) -> Option<Date> {
    match form {
        DateForm::YearFirst => {
            let ([year, month, day], _) = numbers(day_of(cell), 4)?;
            date(year, month, day)
        }
        DateForm::Compact if cell.len() == 8 => {
            date(digits(&cell[..4])?, digits(&cell[4..6])?, digits(&cell[6..])?)
        }
        DateForm::Compact => None,
        DateForm::DayFirst => numbers(cell, 2).and_then(|([d, m, y], _)| date(y, m, d)),
        DateForm::MonthFirst => numbers(cell, 2).and_then(|([m, d, y], _)| date(y, m, d)),
        DateForm::Named => named(cell),
    }
}

fn date(year: i16, month: i16, day: i16) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn digits(text: &[u8]) -> Option<i16> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i16::from(byte - b'0'));
    if text.is_empty() || text.len() > 4 {
        return None;
    }
    text.iter().try_fold(0, |number, byte| Some(number * 10 + digit(byte)?))
}

/// The cell without a time of day: `2024-12-31T00:00:00Z`, `2024-12-31 16:00:00-05:00`.
fn day_of(cell: &[u8]) -> &[u8] {
    match cell.get(10..) {
        Some([b' ' | b'T', rest @ ..])
            if rest.len() >= 5 && rest[2] == b':' && rest[..2].iter().all(u8::is_ascii_digit) =>
        {
            &cell[..10]
        }
        _ => cell,
    }
}

/// Three numbers with the same mark between them. With `first` = 4, the year comes first and month
/// and day have two digits; with 2 it comes last, and the others have one or two.
fn numbers(cell: &[u8], first: usize) -> Option<([i16; 3], u8)> {
    let mark = *cell.iter().find(|byte| !byte.is_ascii_digit())?;
    if !b"-/.".contains(&mark) {
        return None;
    }
    let mut parts = cell.split(|byte| *byte == mark);
    let parts = [parts.next()?, parts.next()?, parts.next()?, parts.next().unwrap_or_default()];
    let lengths = [parts[0].len(), parts[1].len(), parts[2].len(), parts[3].len()];
    let fits = match first {
        4 => lengths == [4, 2, 2, 0],
        _ => matches!(lengths, [1 | 2, 1 | 2, 4, 0]),
    };
    let whole = cell.iter().filter(|byte| **byte == mark).count() == 2;
    (fits && whole).then_some(())?;
    Some(([digits(parts[0])?, digits(parts[1])?, digits(parts[2])?], mark))
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A date with the month by name, whole or its first three letters, and the year in four digits.
fn named(cell: &[u8]) -> Option<Date> {
    let text = str::from_utf8(cell).ok()?;
    let parts = text.split([' ', '-', '/', ',', '.']).filter(|part| !part.is_empty());
    let (mut year, mut month, mut day, mut count) = (None, None, None, 0);
    for part in parts {
        count += 1;
        if part.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let part = part.to_ascii_lowercase();
            let is = |name: &&str| **name == part || (part.len() == 3 && name.starts_with(&part));
            month = Some(MONTHS.iter().position(is)?);
        } else if part.len() == 4 {
            year = digits(part.as_bytes());
        } else if part.len() <= 2 {
            day = digits(part.as_bytes());
        }
    }
    (count == 3).then_some(())?;
    date(year?, i16::try_from(month?).ok()? + 1, day?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_in_one_way_is_settled() {
        use Evidence::{Either, None as Nothing, Settled};
        for (cell, expected) in [
            ("2024-12-31", Settled(DateForm::YearFirst)),
            ("2024/12/31", Settled(DateForm::YearFirst)),
            ("2024-12-31 00:00:00-05:00", Settled(DateForm::YearFirst)),
            ("20241231", Settled(DateForm::Compact)),
            ("03.01.2024", Settled(DateForm::DayFirst)),
            ("13/01/2024", Settled(DateForm::DayFirst)),
            ("1/13/2024", Settled(DateForm::MonthFirst)),
            ("01/02/2024", Either),
            ("1-2-2024", Either),
            ("13/13/2024", Nothing),
            ("01/02/24", Nothing),
            ("2024-1-2", Nothing),
            ("31-Dec-2024", Settled(DateForm::Named)),
            ("December 31, 2024", Settled(DateForm::Named)),
            ("31 Dez 2024", Nothing),
            ("", Nothing),
            ("--", Nothing),
        ] {
            assert_eq!(evidence(cell.as_bytes()), expected, "{cell}");
        }
    }

    #[test]
    fn each_form_reads_its_own_dates_and_no_others() {
        let day = jiff::civil::date(2024, 12, 31);
        let written = [
            (DateForm::YearFirst, "2024-12-31"),
            (DateForm::Compact, "20241231"),
            (DateForm::DayFirst, "31/12/2024"),
            (DateForm::MonthFirst, "12/31/2024"),
            (DateForm::Named, "31-Dec-2024"),
        ];
        for (form, _) in written {
            for (other, text) in written {
                let read = parse(text.as_bytes(), form);
                assert_eq!(read, (form == other).then_some(day), "{form:?} of {text}");
            }
        }
        assert_eq!(parse(b"2023-02-29", DateForm::YearFirst), None);
        assert_eq!(parse(b"20230229", DateForm::Compact), None);
        assert_eq!(parse(b"2024-12-31 noon", DateForm::YearFirst), None);
    }
}
