//! The sessions that the symbols of a directory have in common.

use std::collections::BTreeMap;

use jiff::civil::Date;

/// Days on which there was a session, going by where most of the symbols have one.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    sessions: Vec<Date>,
}

impl Calendar {
    /// A day is a session if more than half of the symbols whose history spans it, and two of them at
    /// least, have a row for it. `histories` are ascending.
    #[must_use]
    pub fn common<'a>(histories: impl IntoIterator<Item = &'a [Date]>) -> Self {
        // On each day: symbols with a row, symbols that begin, symbols that ended on the day before.
        let mut days: BTreeMap<Date, (usize, usize, usize)> = BTreeMap::new();
        for history in histories {
            let (Some(first), Some(last)) = (history.first(), history.last()) else { continue };
            for date in history {
                days.entry(*date).or_default().0 += 1;
            }
            days.entry(*first).or_default().1 += 1;
            days.entry(*last).or_default().2 += 1;
        }
        let (mut spanning, mut sessions) = (0, Vec::new());
        for (date, (rows, begin, end)) in days {
            spanning += begin;
            if rows >= 2 && 2 * rows > spanning {
                sessions.push(date);
            }
            spanning -= end;
        }
        Self { sessions }
    }

    /// The sessions between the first and the last day of a history that it has no row for.
    #[must_use]
    pub fn missing(&self, history: &[Date]) -> Vec<Date> {
        let (Some(first), Some(last)) = (history.first(), history.last()) else {
            return Vec::new();
        };
        let from = self.sessions.partition_point(|date| date < first);
        let to = self.sessions.partition_point(|date| date <= last);
        let sessions = self.sessions.get(from..to).unwrap_or_default().iter();
        sessions.filter(|date| history.binary_search(date).is_err()).copied().collect()
    }
}
