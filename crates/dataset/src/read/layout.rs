//! Vendors' layouts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose layout a file has, going by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layout {
    /// `date,open,high,low,close,volume`, in any order: prices are taken as they are.
    Plain,
    /// Yahoo Finance: a second close, adjusted for splits and dividends, beside prices and volume that
    /// are adjusted for splits alone.
    Yahoo,
    /// Alpha Vantage, daily adjusted: prices and volume as traded, an adjusted close, dividends and
    /// split coefficients.
    AlphaVantage,
    /// Stooq: `<TICKER>,<PER>,<DATE>,...` with dates like 20241231, or Polish column names; prices are
    /// adjusted by the vendor.
    Stooq,
    /// Kaggle's S&P 500 files: a column `Name` with the symbol.
    Kaggle,
    /// Another column with the symbol: `symbol` or `ticker`.
    Long,
}

impl Layout {
    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Yahoo => "Yahoo",
            Self::AlphaVantage => "Alpha Vantage",
            Self::Stooq => "Stooq",
            Self::Kaggle => "Kaggle",
            Self::Long => "long",
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
