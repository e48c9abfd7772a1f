//! Rows in the order of their days, one for each.

use jiff::civil::Date;
use mambafleet_protocol::{DuplicateSpec, PolicySpec, UnsortedSpec};

use super::Reading;
use crate::Unit;
use crate::read::{Problems, Row};

/// The rows, oldest first, one per day.
pub(super) fn sort(
    rows: &[Row],
    policy: &PolicySpec,
    reading: &mut Reading,
    problems: &mut Problems,
) -> Vec<Row> {
    if rows.windows(2).all(|pair| pair[0].date < pair[1].date) {
        return rows.to_vec();
    }
    let newest_first =
        policy.unsorted == UnsortedSpec::Sort && rows.windows(2).all(|p| p[0].date >= p[1].date);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|index| rows[*index].date);
    // For each row, the one for the same day that stands before it.
    let mut earlier = vec![None; rows.len()];
    for pair in order.windows(2) {
        if rows[pair[0]].date == rows[pair[1]].date {
            earlier[pair[1]] = Some(earlier[pair[0]].unwrap_or(pair[0]));
        }
    }
    let unit = problems.unit;
    let mut found = Problems::of(unit);
    let mut newest: Option<&Row> = None;
    for (row, earlier) in rows.iter().zip(&earlier) {
        let Row { date, line, .. } = *row;
        if let Some(first) = earlier {
            reading.duplicates += 1;
            let first = &rows[*first];
            let equal = Row { line: first.line, ..row.clone() } == *first;
            reading.conflicting += usize::from(!equal);
            repeated(row, first, equal, policy.duplicates, &mut found);
            continue;
        }
        match newest {
            Some(last) if date < last.date => {
                reading.unsorted += usize::from(!newest_first);
                if policy.unsorted == UnsortedSpec::Refuse {
                    found.add(line, Some("date"), || out_of_order(date, last, unit));
                }
            }
            _ => newest = Some(row),
        }
    }
    problems.merge(&found);
    reading.newest_first = newest_first && rows.len() > reading.duplicates + 1;
    // Of rows for the same day, the last one in the file.
    let last = |at: &usize| {
        let next = order.get(at + 1).map(|index| rows[*index].date);
        next != Some(rows[order[*at]].date)
    };
    (0..order.len()).filter(last).map(|at| rows[order[at]].clone()).collect()
}

fn out_of_order(date: Date, last: &Row, unit: Unit) -> String {
    format!("{date} comes after {} of {unit} {}; sort the rows, oldest first", last.date, last.line)
}

/// Names a further row for a day, if it is refused.
fn repeated(row: &Row, first: &Row, equal: bool, policy: DuplicateSpec, problems: &mut Problems) {
    let Row { date, line, .. } = *row;
    let unit = problems.unit;
    match policy {
        DuplicateSpec::Refuse => problems.add(line, Some("date"), || {
            format!("{date} stands already on {unit} {}; keep one of the two", first.line)
        }),
        DuplicateSpec::Equal if !equal => problems.add(line, Some("date"), || {
            format!(
                "{date} stands already on {unit} {} with other values; keep one of the two",
                first.line
            )
        }),
        DuplicateSpec::Equal | DuplicateSpec::Last => {}
    }
}
