//! What is wrong with single rows.

use std::path::Path;

use crate::{DataError, Problem, Unit};

/// How many problems of a malformed file are reported one by one; the rest are counted.
pub const REPORTED_PROBLEMS: usize = 5;

/// The first few problems, and how many there are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problems {
    /// What is counted where they are.
    pub(crate) unit: Unit,
    list: Vec<Problem>,
    total: usize,
}

impl Problems {
    /// None yet, in a file where this is counted.
    pub(crate) fn of(unit: Unit) -> Self {
        Self { unit, ..Self::default() }
    }

    /// Notes one; within one `Problems` they come in the order of the lines.
    pub(crate) fn add(
        &mut self,
        line: u64,
        column: Option<&'static str>,
        message: impl FnOnce() -> String,
    ) {
        self.total += 1;
        if self.list.len() < REPORTED_PROBLEMS {
            let unit = self.unit;
            self.list.push(Problem { unit, line, column, message: message() });
        }
    }

    /// Takes in what another look at the same file has found.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.list.extend_from_slice(&other.list);
        self.list.sort_by_key(|problem| problem.line);
        self.list.truncate(REPORTED_PROBLEMS);
    }

    /// How many there are.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// The file's refusal, if there is any problem.
    pub(crate) fn into_error(self, path: &Path) -> Result<(), DataError> {
        let Self { list: problems, total, .. } = self;
        if total == 0 {
            return Ok(());
        }
        Err(DataError::Malformed { path: path.to_owned(), problems, total })
    }
}
