//! From rows as they stand in a file to bars: what is done about blemishes, and that it was done.
//!
//! The order of the steps, each of which sees what those before it have left:
//!
//! 1. Rows are sorted, and of several for one day one is kept.
//! 2. High and low are widened where open or close lie outside, or such rows are marked.
//! 3. Every row gets its factors for prices and volume from the file's own adjusted closes, dividends
//!    and splits. Rows that will be left out still hand on their split and dividend.
//! 4. Rows with blank cells, and those marked, are left out.

mod adjust;
mod consistency;
mod order;
mod reading;

use std::path::Path;

use jiff::civil::Date;
use mambafleet_protocol::{BlankSpec, InconsistentSpec, PolicySpec, SuspectedSplitSpec};

use crate::quality::suspected_splits;
use crate::read::{BLANK, FURTHER, Group, Problems, RawFile, Row};
use crate::{Bar, CSV_COLUMNS, Column, DataError};

pub use consistency::PRICE_TOLERANCE;
pub use reading::{Adjustment, Reading};

/// A file that loses more than one in so many of its rows is refused: what is left is no history.
pub const ROWS_PER_DROPPED: usize = 20;

/// The bars of one symbol in a file.
#[derive(Debug)]
pub(crate) struct Treated {
    /// What is left, oldest first.
    pub(crate) bars: Vec<Bar>,
    /// The further columns that were asked for, a value per bar.
    pub(crate) columns: Vec<Column>,
    /// Every day of which the file has a row, ascending, also if it was left out.
    pub(crate) dates: Vec<Date>,
    /// What was done.
    pub(crate) reading: Reading,
    /// What the policy refuses.
    pub(crate) problems: Problems,
}

/// Treats the rows of one symbol as `policy` says.
pub(crate) fn treat(group: &Group, file: &RawFile, policy: &PolicySpec) -> Treated {
    let mut reading = Reading::new(file.layout, group.rows.len());
    let mut problems = group.problems.clone();
    problems.merge(&file.stray);
    let mut rows = order::sort(&group.rows, policy, &mut reading, &mut problems);
    carry_forward(&mut rows);
    let mut keep: Vec<bool> = vec![true; rows.len()];
    let mut found = Problems::of(problems.unit);
    for (row, keep) in rows.iter_mut().zip(&mut keep) {
        if blank(row, file.has.adjusted, policy, &mut reading, &mut found) {
            *keep = false;
        } else if consistency::mend(row, policy, &mut found) {
            reading.inconsistent += 1;
            *keep = policy.inconsistent != InconsistentSpec::Drop;
        }
    }
    problems.merge(&found);
    let mut found = Problems::of(problems.unit);
    let factors = adjust::factors(&rows, file.has, policy.adjust, &mut reading, &mut found);
    problems.merge(&found);
    let dates = rows.iter().map(|row| row.date).collect();
    let kept = rows.iter().zip(factors).zip(keep).filter(|(_, keep)| *keep);
    let mut found = Problems::of(problems.unit);
    let mut columns: Vec<Column> =
        file.extra.iter().map(|name| Column { name: name.clone(), values: Vec::new() }).collect();
    let mut bars = Vec::with_capacity(rows.len());
    for ((row, factors), _) in kept {
        if let Some(bar) = factors.bar(row, &mut found) {
            bars.push(bar);
            for (column, value) in columns.iter_mut().zip(&row.extra) {
                column.values.push(value.unwrap_or_default());
            }
        }
    }
    problems.merge(&found);
    reading.dropped = rows.len() - bars.len();
    Treated { bars, columns, dates, reading, problems }
}

/// Fills the blank cells of further columns with what was known last.
fn carry_forward(rows: &mut [Row]) {
    for at in 1..rows.len() {
        let (before, after) = rows.split_at_mut(at);
        let Some(last) = before.last() else { continue };
        for (cell, known) in after[0].extra.iter_mut().zip(&last.extra) {
            *cell = cell.or(*known);
        }
    }
}

/// Whether the row has blank cells; what is done about it is noted.
fn blank(
    row: &Row,
    has_adjusted: bool,
    policy: &PolicySpec,
    reading: &mut Reading,
    problems: &mut Problems,
) -> bool {
    let blanks = row.blanks(has_adjusted);
    if blanks == 0 {
        return false;
    }
    reading.blank_rows += 1;
    reading.blank_cells += blanks;
    if policy.blank == BlankSpec::Refuse {
        for (number, column) in row.numbers.iter().zip(&CSV_COLUMNS[1..]) {
            if number.is_none() {
                problems.add(row.line, Some(column), || BLANK.to_owned());
            }
        }
        if has_adjusted && row.adjusted.is_none() {
            problems.add(row.line, Some("adjusted close"), || BLANK.to_owned());
        }
        if row.extra.contains(&None) {
            problems.add(row.line, Some(FURTHER), || {
                "the cell is blank, and so is every one before it".to_owned()
            });
        }
    }
    true
}

impl Treated {
    /// The bars, unless the policy refuses them.
    ///
    /// # Errors
    /// [`DataError::Malformed`], [`DataError::NoBars`], [`DataError::TooManyDropped`] or
    /// [`DataError::SuspectedSplit`].
    pub(crate) fn finish(self, path: &Path, policy: &PolicySpec) -> Result<Self, DataError> {
        self.problems.clone().into_error(path)?;
        let path = path.to_owned();
        let Reading { dropped, .. } = self.reading;
        let rows = self.bars.len() + dropped;
        if rows == 0 {
            return Err(DataError::NoBars { path });
        }
        if dropped * ROWS_PER_DROPPED > rows {
            return Err(DataError::TooManyDropped { path, dropped, rows });
        }
        if policy.suspected_splits == SuspectedSplitSpec::Refuse {
            let suspected = suspected_splits(&self.bars);
            if let Some(first) = suspected.first().copied() {
                let more = suspected.len() - 1;
                return Err(DataError::SuspectedSplit { path, first, more });
            }
        }
        Ok(self)
    }
}
