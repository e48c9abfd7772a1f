//! Values that people write in their own way.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::civil::Time;
use jiff::{Timestamp, Zoned};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A duration with its unit: `90s`, `20m`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HumanDuration(pub(crate) Duration);

/// A duration with its unit, or `auto`, which is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AutoOrDuration(pub(crate) Option<Duration>);

/// A duration with its unit, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoneOrDuration(pub(crate) Option<Duration>);

/// A size such as `2GiB`, in bytes, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoneOrSize(pub(crate) Option<u64>);

/// When a run is to be done: a local time of day, a time from its start on, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    None,
    At(Time),
    After(Duration),
}

/// A whole number, or a word that stands for none: `auto` or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WordOrCount(pub(crate) Option<u32>);

/// Reads a value that is written as text.
struct Text<T> {
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text {
            expected: "a duration with its unit, such as \"90s\", \"20m\" or \"1h 30m\"",
            parse: |text| parse_duration(text).map(Self),
        })
    }
}

impl<'de> Deserialize<'de> for AutoOrDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text {
            expected: "\"auto\" or a duration with its unit, such as \"90s\" or \"20m\"",
            parse: |text| match text.trim() {
                "auto" => Some(Self(None)),
                text => parse_duration(text).map(|duration| Self(Some(duration))),
            },
        })
    }
}

impl<'de> Deserialize<'de> for NoneOrDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text {
            expected: "\"none\" or a duration with its unit, such as \"90s\" or \"20m\"",
            parse: |text| match text.trim() {
                "none" => Some(Self(None)),
                text => parse_duration(text).filter(|d| !d.is_zero()).map(|d| Self(Some(d))),
            },
        })
    }
}

impl<'de> Deserialize<'de> for NoneOrSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text {
            expected: "\"none\" or a size, such as \"500MB\" or \"2GiB\"",
            parse: |text| match text.trim() {
                "none" => Some(Self(None)),
                text if text.ends_with(|c: char| c.is_ascii_digit()) => None,
                text => parse_size(text).ok().filter(|size| *size > 0).map(|n| Self(Some(n))),
            },
        })
    }
}

impl<'de> Deserialize<'de> for Deadline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text {
            expected: "\"none\", a local time such as \"06:00\", or a duration such as \"90m\"",
            parse: |text| match text.trim() {
                "none" => Some(Self::None),
                text => match text.split_once(':') {
                    Some((hour, minute)) => {
                        let time = Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0);
                        time.ok().map(Self::At)
                    }
                    None => parse_duration(text).map(Self::After),
                },
            },
        })
    }
}

impl<'de> Deserialize<'de> for WordOrCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrNumber;
        impl Visitor<'_> for WordOrNumber {
            type Value = WordOrCount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the word that stands for none here, or a whole number from 0")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<WordOrCount, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(number), &self);
                u32::try_from(number).map(|n| WordOrCount(Some(n))).map_err(|_| wrong())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<WordOrCount, E> {
                let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
                match text.trim() {
                    "auto" | "none" => Ok(WordOrCount(None)),
                    text => text.parse().map(|n| WordOrCount(Some(n))).map_err(|_| wrong()),
                }
            }
        }
        deserializer.deserialize_any(WordOrNumber)
    }
}

impl Deadline {
    /// The moment that is meant, for a run that begins at `now`: the next time that the clocks show
    /// that time of day.
    pub(crate) fn moment(self, now: &Zoned) -> Result<Option<Timestamp>, jiff::Error> {
        Ok(match self {
            Self::None => None,
            Self::After(wait) => Some(now.timestamp().checked_add(wait)?),
            Self::At(time) => {
                let today = now.with().time(time).build()?;
                let next = if today > *now { today } else { today.tomorrow()? };
                Some(next.timestamp())
            }
        })
    }
}

/// The duration that a text with a unit stands for.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let parsed = text.parse::<jiff::SignedDuration>().ok()?;
    Duration::try_from(parsed).ok()
}

/// What to write in place of a bare number that lacks one of two units.
pub(super) fn without_unit(text: &str, one: &str, other: &str) -> Option<String> {
    let number = text.parse::<f64>().is_ok_and(|number| number.is_finite() && number >= 0.0);
    number.then(|| format!("{text} has no unit: write \"{text}{one}\" or \"{text}{other}\""))
}

/// The units of sizes, in bytes.
const UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The number of bytes that a size stands for: `300KB`, `2GiB`, `1.5 MB`, `4096`.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || "expected a size such as 300KB, 10MB or 2GiB".to_owned();
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let fits = |(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit.trim());
    let (_, factor) = UNITS.iter().find(fits).ok_or_else(wrong)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(*factor).ok_or_else(wrong);
    }
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * *factor as f64;
    Ok(bytes.round() as u64)
}

/// A whole number, or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AutoOr {
    Auto,
    Number(NonZeroUsize),
}

impl AutoOr {
    /// The number, or what `auto` stands for here.
    pub(crate) fn or(self, auto: impl FnOnce() -> usize) -> usize {
        match self {
            Self::Auto => auto(),
            Self::Number(number) => number.get(),
        }
    }
}

impl Serialize for AutoOr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Number(number) => number.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for AutoOr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrAuto;
        impl NumberOrAuto {
            fn number<E: de::Error>(self, number: Option<usize>) -> Result<AutoOr, E> {
                let number = number.and_then(NonZeroUsize::new);
                number.map(AutoOr::Number).ok_or_else(|| {
                    E::custom("expected \"auto\" or a whole number from 1, such as 10")
                })
            }
        }
        impl Visitor<'_> for NumberOrAuto {
            type Value = AutoOr;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\" or a whole number from 1")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<AutoOr, E> {
                self.number(usize::try_from(number).ok())
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<AutoOr, E> {
                self.number(usize::try_from(number).ok())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<AutoOr, E> {
                match text.trim() {
                    "auto" => Ok(AutoOr::Auto),
                    text => self.number(text.parse().ok()),
                }
            }
        }
        deserializer.deserialize_any(NumberOrAuto)
    }
}

/// An address with a port, such as `example`; `localhost` stands for 127.0.0.1.
pub(crate) fn parse_address(text: &str, example: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address = named.as_deref().unwrap_or(text);
    let wrong = |_| format!("{text:?} is no address with a port, such as \"{example}\"");
    address.parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_their_unit() {
        let parse = |text: &str| {
            HumanDuration::deserialize(toml::Value::String(text.into())).map(|d| d.0.as_secs())
        };
        assert_eq!(parse("90s"), Ok(90));
        assert_eq!(parse("20m"), Ok(1200));
        assert_eq!(parse("1h 30m"), Ok(5400));
        for text in ["90", "", "-5s", "soon", "5 parsecs"] {
            assert!(parse(text).is_err(), "{text:?} was accepted");
        }
        assert!(HumanDuration::deserialize(toml::Value::Integer(90)).is_err());
    }

    #[test]
    fn waits_are_durations_or_auto() {
        let parse = |value: toml::Value| AutoOrDuration::deserialize(value).map(|wait| wait.0);
        assert_eq!(parse("auto".into()), Ok(None));
        assert_eq!(parse("90s".into()), Ok(Some(Duration::from_secs(90))));
        assert_eq!(parse("0s".into()), Ok(Some(Duration::ZERO)));
        for wrong in ["", "90", "automatic"] {
            let error = parse(wrong.into()).unwrap_err().to_string();
            assert!(error.contains("\"auto\" or a duration"), "{error}");
        }
        assert!(parse(toml::Value::Integer(90)).is_err());
    }

    #[test]
    fn limits_are_written_with_their_unit_or_not_at_all() {
        let time = |text: &str| NoneOrDuration::deserialize(toml::Value::String(text.into()));
        assert_eq!(time("none").unwrap().0, None);
        assert_eq!(time("20m").unwrap().0, Some(Duration::from_secs(1200)));
        let size = |text: &str| NoneOrSize::deserialize(toml::Value::String(text.into()));
        assert_eq!(size("none").unwrap().0, None);
        assert_eq!(size("2GiB").unwrap().0, Some(2 << 30));
        for wrong in ["20", "0s", ""] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert!(size("0").is_err() && size("much").is_err());
        let count = |value: toml::Value| WordOrCount::deserialize(value).map(|count| count.0);
        assert_eq!(count("auto".into()), Ok(None));
        assert_eq!(count(toml::Value::Integer(0)), Ok(Some(0)));
        assert_eq!(count("3".into()), Ok(Some(3)));
        assert!(count(toml::Value::Integer(-1)).is_err() && count("many".into()).is_err());
    }

    #[test]
    fn deadlines_are_times_of_day_or_durations() {
        let now: Zoned = "2026-11-24T23:30:00+01:00[Europe/Berlin]".parse().unwrap();
        let moment = |text: &str| {
            let deadline = Deadline::deserialize(toml::Value::String(text.into())).ok()?;
            deadline
                .moment(&now)
                .unwrap()
                .map(|at| at.to_zoned(now.time_zone().clone()).to_string())
        };
        assert_eq!(moment("06:00").unwrap(), "2026-11-25T06:00:00+01:00[Europe/Berlin]");
        assert_eq!(moment("23:45").unwrap(), "2026-11-24T23:45:00+01:00[Europe/Berlin]");
        assert_eq!(moment("23:30").unwrap(), "2026-11-25T23:30:00+01:00[Europe/Berlin]");
        assert_eq!(moment("90m").unwrap(), "2026-11-25T01:00:00+01:00[Europe/Berlin]");
        assert_eq!(moment("none"), None);
        for wrong in ["6", "25:00", "06:60", "soon", ""] {
            let read = Deadline::deserialize(toml::Value::String(wrong.into()));
            assert!(read.is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_written_as_people_do() {
        for (text, bytes) in [
            ("300KB", 300_000),
            ("300 kb", 300_000),
            ("10MB", 10_000_000),
            ("1GB", 1_000_000_000),
            ("2GiB", 2 << 30),
            ("1.5KiB", 1536),
            ("4096", 4096),
            ("0", 0),
            ("7B", 7),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KB", "-1KB", "10 parsecs", "1.2.3MB", "99999999999TiB", "1e3"] {
            assert!(parse_size(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn numbers_are_at_least_one() {
        let parse = |value: toml::Value| AutoOr::deserialize(value).ok();
        assert_eq!(parse("auto".into()), Some(AutoOr::Auto));
        assert_eq!(parse("10".into()).map(|n| n.or(|| 0)), Some(10));
        assert_eq!(parse(toml::Value::Integer(3)).map(|n| n.or(|| 0)), Some(3));
        for wrong in [toml::Value::Integer(0), toml::Value::Integer(-1), "many".into()] {
            assert!(parse(wrong).is_none());
        }
    }
}
