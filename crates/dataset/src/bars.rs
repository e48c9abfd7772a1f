//! Daily bars and their canonical CSV form.

use std::fmt;
use std::io;
use std::path::PathBuf;

use jiff::civil::Date;
use mambafleet_protocol::Symbol;
use serde::{Deserialize, Serialize};

use crate::Reading;

/// The columns of a bar file, in the order in which [`write_csv`] writes them.
pub const CSV_COLUMNS: [&str; 6] = ["date", "open", "high", "low", "close", "volume"];

/// One trading day. Prices and volume are adjusted for splits and dividends as far as the file they
/// come from allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// The trading day.
    pub date: Date,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Units traded; 0 where the vendor knows none.
    pub volume: f64,
}

/// The daily bars of one symbol, oldest first.
///
/// What [`load`](crate::load) returns has strictly ascending dates, finite positive prices and
/// volumes that are not negative; whoever fills the fields by hand keeps to the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// Whose bars they are.
    pub symbol: Symbol,
    /// Where they come from.
    pub origin: Origin,
    /// One bar per trading day, dates strictly ascending.
    pub bars: Vec<Bar>,
    /// Further columns of the file, those that were asked for, in that order.
    pub columns: Vec<Column>,
    /// What the file was that they come from, and what was done to it.
    pub reading: Option<Reading>,
}

/// A further column of numbers, as they stand in the file. A blank cell has the value of the last row
/// before it that has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// One value per bar.
    pub values: Vec<f64>,
}

/// Where bars come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Origin {
    /// The built-in generator: demo data, not prices.
    Synthetic {
        /// The generator's seed; the symbol is mixed in.
        seed: u64,
    },
    /// A file of prices.
    Csv {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synthetic { seed } => write!(f, "synthetic demo data (seed {seed})"),
            Self::Csv { path } => write!(f, "{}", path.display()),
        }
    }
}

impl Bars {
    /// Keeps the oldest `count` bars.
    pub fn truncate(&mut self, count: usize) {
        self.bars.truncate(count);
        for column in &mut self.columns {
            column.values.truncate(count);
        }
    }

    /// The BLAKE3 hash (64 hexadecimal digits) of the content: every date and the bit pattern of
    /// every number. Symbol, origin, spelling of numbers, blank lines, column order and further
    /// columns of the file do not enter, but for those that were asked for.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("mambafleet 2026 daily bars v1");
        for bar in &self.bars {
            let Bar { date, open, high, low, close, volume } = *bar;
            hasher.update(&date.year().to_le_bytes());
            hasher.update(&date.month().to_le_bytes());
            hasher.update(&date.day().to_le_bytes());
            for number in [open, high, low, close, volume] {
                hasher.update(&number.to_bits().to_le_bytes());
            }
        }
        for Column { name, values } in &self.columns {
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            for value in values {
                hasher.update(&value.to_bits().to_le_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Writes `bars` as CSV with the header [`CSV_COLUMNS`]; reading it back gives the same
/// [fingerprint](Bars::fingerprint), since numbers are written with as many digits as it takes.
///
/// # Errors
/// Whatever `out` reports.
pub fn write_csv(bars: &Bars, out: &mut impl io::Write) -> io::Result<()> {
    writeln!(out, "{}", CSV_COLUMNS.join(","))?;
    for bar in &bars.bars {
        let Bar { date, open, high, low, close, volume } = bar;
        writeln!(out, "{date},{open},{high},{low},{close},{volume}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn two() -> Bars {
        let bar = |day, close| Bar {
            date: date(2024, 1, day),
            open: 10.0,
            high: 12.5,
            low: 9.75,
            close,
            volume: 0.0,
        };
        Bars {
            symbol: Symbol::new("A").unwrap(),
            origin: Origin::Synthetic { seed: 1 },
            bars: vec![bar(2, 11.0), bar(3, 0.1 + 0.2)],
            columns: Vec::new(),
            reading: None,
        }
    }

    #[test]
    fn the_canonical_form_is_stable() {
        let mut text = Vec::new();
        write_csv(&two(), &mut text).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "date,open,high,low,close,volume\n\
             2024-01-02,10,12.5,9.75,11,0\n\
             2024-01-03,10,12.5,9.75,0.30000000000000004,0\n"
        );
    }

    #[test]
    fn the_fingerprint_depends_on_every_value_and_on_nothing_else() {
        let reference = two().fingerprint();
        assert_eq!(reference.len(), 64);
        let mut renamed = two();
        renamed.symbol = Symbol::new("B").unwrap();
        renamed.origin = Origin::Csv { path: "b.csv".into() };
        assert_eq!(renamed.fingerprint(), reference);

        type Change = fn(&mut Bar);
        let changes: [Change; 6] = [
            |b| b.date = date(2024, 1, 4),
            |b| b.open = 10.0_f64.next_up(),
            |b| b.high += 1.0,
            |b| b.low -= 1.0,
            |b| b.close = 0.3,
            |b| b.volume = 1.0,
        ];
        for change in changes {
            let mut changed = two();
            change(&mut changed.bars[1]);
            assert_ne!(changed.fingerprint(), reference);
        }
        let with = |name: &str, last| {
            let column = Column { name: name.to_owned(), values: vec![1.0, last] };
            Bars { columns: vec![column], ..two() }.fingerprint()
        };
        let all = [reference.clone(), with("x", 2.0), with("y", 2.0), with("x", 3.0)];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        let mut shorter = two();
        shorter.bars.pop();
        assert_ne!(shorter.fingerprint(), reference);
    }

    #[test]
    fn origins_are_readable_by_people_and_machines() {
        let origin = Origin::Synthetic { seed: 7 };
        assert_eq!(origin.to_string(), "synthetic demo data (seed 7)");
        let json = serde_json::to_string(&origin).unwrap();
        assert_eq!(json, r#"{"kind":"synthetic","seed":7}"#);
        assert_eq!(serde_json::from_str::<Origin>(&json).unwrap(), origin);
    }
}
