//! Ticker symbols and their directory names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A ticker symbol as vendors write it: `AAPL`, `BRK.B`, `BF-B`, `^GSPC`, `BTC-USD`, `EURUSD=X`,
/// `0700.HK`, `BTC/USD`.
///
/// A symbol is 1 to [`Symbol::MAX_LEN`] bytes of printable ASCII with at least one letter or
/// digit. Case is significant (`BRKb` is not `BRKB`). Characters that lists, groups, generations
/// or shells give a meaning of their own (`,`, `@`, quotes, `\`, `|`, `<`, `>`, `?`, `%`) are not
/// allowed.
///
/// A symbol never reaches a path as it is: [`Symbol::dir_name`] is the only way to a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(String);

/// Why a text is not a symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSymbol {
    /// The text is empty.
    #[error("a symbol must not be empty")]
    Empty,
    /// The text is longer than [`Symbol::MAX_LEN`] bytes.
    #[error("symbol \"{symbol}\" is {length} bytes long; at most {max} are allowed")]
    TooLong {
        /// The beginning of the offending text.
        symbol: String,
        /// Its length in bytes.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// A character that no vendor uses in a ticker, or that has another meaning here.
    #[error(
        "symbol \"{symbol}\" contains {character:?}; \
         letters, digits, spaces inside and any of {allowed} are allowed"
    )]
    Character {
        /// The offending text.
        symbol: String,
        /// The first character that is not allowed.
        character: char,
        /// The punctuation that is.
        allowed: &'static str,
    },
    /// A space at an end, or no letter or digit at all.
    #[error("symbol \"{0}\" must hold a letter or a digit, and must not begin or end with a space")]
    Shape(String),
    /// A directory name that [`Symbol::dir_name`] never produces.
    #[error("\"{0}\" is not the directory name of a symbol")]
    DirName(String),
}

/// Punctuation that occurs in vendors' tickers.
const PUNCTUATION: &str = ".-_^=/&+$#!~:*'()";

/// Base names that Windows reserves for devices, whatever the extension.
const RESERVED: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "COM", "LPT"];

impl Symbol {
    /// The longest symbol, in bytes. Its directory name is at most three times as long, which
    /// stays below the 255 bytes that common file systems allow.
    pub const MAX_LEN: usize = 64;

    /// Checks `text` and makes it a symbol.
    ///
    /// # Errors
    /// [`InvalidSymbol`] names what is wrong with the text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidSymbol> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidSymbol::Empty);
        }
        if text.len() > Self::MAX_LEN {
            let symbol = text.chars().take(24).collect::<String>() + "...";
            return Err(InvalidSymbol::TooLong { symbol, length: text.len(), max: Self::MAX_LEN });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == ' ' || PUNCTUATION.contains(c);
        if let Some(character) = text.chars().find(|c| !allowed(*c)) {
            let allowed = PUNCTUATION;
            return Err(InvalidSymbol::Character { symbol: text, character, allowed });
        }
        let bare = !text.contains(|c: char| c.is_ascii_alphanumeric());
        if bare || text.starts_with(' ') || text.ends_with(' ') {
            return Err(InvalidSymbol::Shape(text));
        }
        Ok(Self(text))
    }

    /// The symbol as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file-system name of this symbol: injective, and safe on every common file system.
    ///
    /// Capital letters, digits, `-`, `_`, `=` and inner `.` stand for themselves; every other
    /// byte becomes `%` and two capital hexadecimal digits. The result therefore holds no small
    /// letter (two symbols never collide on a case-insensitive file system), no separator, no
    /// leading or trailing dot; where it would be a device name of Windows (`CON`, `COM1.X`), its
    /// first byte is escaped too.
    ///
    /// ```
    /// # use mambafleet_protocol::Symbol;
    /// let name = |s: &str| Symbol::new(s).unwrap().dir_name();
    /// assert_eq!(name("BRK.B"), "BRK.B");
    /// assert_eq!(name("^GSPC"), "%5EGSPC");
    /// assert_eq!(name("CON"), "%43ON");
    /// assert_eq!(name("BRKb"), "BRK%62");
    /// ```
    #[must_use]
    pub fn dir_name(&self) -> String {
        let bytes = self.0.as_bytes();
        let last = bytes.len() - 1;
        let mut name = String::with_capacity(bytes.len());
        for (i, &byte) in bytes.iter().enumerate() {
            let plain = match byte {
                b'A'..=b'Z' => i > 0 || !is_device_name(&self.0),
                b'0'..=b'9' | b'_' | b'=' => true,
                b'-' => i > 0,
                b'.' => i > 0 && i < last,
                _ => false,
            };
            if plain {
                name.push(char::from(byte));
            } else {
                name.push('%');
                name.push(hex_digit(byte >> 4));
                name.push(hex_digit(byte & 15));
            }
        }
        name
    }

    /// The symbol whose [`dir_name`](Self::dir_name) is `name`.
    ///
    /// # Errors
    /// [`InvalidSymbol`] when no symbol has this directory name.
    pub fn from_dir_name(name: &str) -> Result<Self, InvalidSymbol> {
        let wrong = || InvalidSymbol::DirName(name.to_owned());
        let mut bytes = Vec::with_capacity(name.len());
        let mut rest = name.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let high = rest.next().and_then(hex_value).ok_or_else(wrong)?;
                let low = rest.next().and_then(hex_value).ok_or_else(wrong)?;
                bytes.push(high << 4 | low);
            } else {
                bytes.push(byte);
            }
        }
        let symbol = Self::new(String::from_utf8(bytes).map_err(|_| wrong())?)?;
        if symbol.dir_name() == name { Ok(symbol) } else { Err(wrong()) }
    }
}

/// Whether Windows would take `name`, in capital letters, for a device: the part before the first
/// dot, without trailing spaces, is `CON`, `PRN`, `AUX`, `NUL`, or `COM` or `LPT` with one digit.
#[must_use]
pub fn is_device_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    RESERVED.iter().any(|device| match stem.strip_prefix(device) {
        Some("") => !matches!(*device, "COM" | "LPT"),
        Some(digit) => {
            matches!(*device, "COM" | "LPT")
                && digit.len() == 1
                && digit.bytes().all(|b| b.is_ascii_digit())
        }
        None => false,
    })
}

fn hex_digit(value: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(value & 15)])
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Symbol {
    type Err = InvalidSymbol;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for Symbol {
    type Error = InvalidSymbol;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> Self {
        symbol.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vendors_tickers_are_symbols() {
        for text in [
            "AAPL",
            "BRK.B",
            "BF-B",
            "^GSPC",
            "BTC-USD",
            "EURUSD=X",
            "0700.HK",
            "BTC/USD",
            "M&M.NS",
            "ES=F",
            "BINANCE:BTCUSDT",
            "BRK B",
            "$SPX",
            "BRKpB",
            "#US30",
            "CON",
            "A",
        ] {
            let symbol = Symbol::new(text).unwrap();
            assert_eq!(Symbol::from_dir_name(&symbol.dir_name()).unwrap(), symbol);
        }
    }

    #[test]
    fn what_is_no_symbol_is_refused_with_its_reason() {
        for text in ["", " A", "A ", "..", "A,B", "A@1", "A\\B", "A\nB", "Ä", "a\0", "A%41", "/"] {
            assert!(Symbol::new(text).is_err(), "{text:?} was accepted");
        }
        let long = "A".repeat(65);
        assert!(matches!(Symbol::new(long), Err(InvalidSymbol::TooLong { length: 65, .. })));
        let error = Symbol::new("AA,PL").unwrap_err().to_string();
        assert!(error.contains("\"AA,PL\" contains ','"), "{error}");
    }

    #[test]
    fn directory_names_are_safe_where_names_are_special() {
        let name = |s: &str| Symbol::new(s).unwrap().dir_name();
        assert_eq!(name("../A"), "%2E.%2FA");
        assert_eq!(name("A."), "A%2E");
        assert_eq!(name(".A"), "%2EA");
        assert_eq!(name("-A"), "%2DA");
        for device in ["CON", "PRN", "AUX", "NUL", "COM1", "LPT9", "COM0", "NUL.X", "CON .X"] {
            assert!(name(device).starts_with('%'), "{device}");
        }
        for harmless in ["CONN", "COM", "COM10", "LPTX", "XCON", "ICON"] {
            assert_eq!(name(harmless), harmless);
        }
        // Small letters are escaped, so no spelling of a device name survives.
        assert_eq!(name("con"), "%63%6F%6E");
    }

    #[test]
    fn foreign_directory_names_are_not_symbols() {
        for name in ["aapl", "%41APL", "CON", "A%2e", "%4", "A%ZZ", "", ".staging-1", "000007%"] {
            assert!(Symbol::from_dir_name(name).is_err(), "{name:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn names_round_trip_and_never_collide_when_case_is_ignored(
            a in "[ -~]{1,12}", b in "[ -~]{1,12}",
        ) {
            if let (Ok(a), Ok(b)) = (Symbol::new(a), Symbol::new(b)) {
                let (x, y) = (a.dir_name(), b.dir_name());
                prop_assert_eq!(Symbol::from_dir_name(&x).unwrap(), a.clone());
                prop_assert_eq!(a == b, x.eq_ignore_ascii_case(&y));
                prop_assert!(!x.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|', ' ']));
                prop_assert!(!x.starts_with(['.', '-']) && !x.ends_with('.'));
                prop_assert!(!is_device_name(&x) && x.len() <= 3 * Symbol::MAX_LEN);
            }
        }
    }
}
