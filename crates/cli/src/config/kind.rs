//! What kinds of values there are, and what is wrong with a value that is of another.

use serde::Deserialize;
use toml::Value;

use super::value::{Deadline, parse_duration, parse_size, without_unit};

/// The kind of value that a key takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Bool,
    /// A whole number from 0.
    Whole,
    Number,
    Duration,
    DurationOrAuto,
    /// `none`, or a duration above zero.
    DurationOrNone,
    /// `none`, or a size above zero.
    SizeOrNone,
    /// A time of day, a duration, or `none`.
    Deadline,
    /// `auto`, or a whole number from 1.
    WholeOrAuto,
    /// A word that stands for no number, or a whole number from 0.
    WordOrWhole(&'static str),
    Choice(&'static [&'static str]),
    List(Box<Kind>),
}

/// Keys whose default does not tell the kind.
fn special(path: &str) -> Option<Kind> {
    Some(match path {
        "lock.timeout" => Kind::DurationOrAuto,
        "model.dt_rank" | "run.parallel" => Kind::WholeOrAuto,
        "run.timeout" | "run.stall_timeout" => Kind::DurationOrNone,
        "run.memory_limit" => Kind::SizeOrNone,
        "run.jobs_per_worker"
        | "run.max_failures"
        | "predict.max_age_days"
        | "predict.max_model_age_days" => Kind::WordOrWhole("none"),
        "data.adjust" => Kind::Choice(&["auto", "none"]),
        "data.blank" => Kind::Choice(&["drop", "refuse"]),
        "data.duplicates" => Kind::Choice(&["equal", "last", "refuse"]),
        "data.unsorted" => Kind::Choice(&["sort", "refuse"]),
        "data.inconsistent" => Kind::Choice(&["clip", "drop", "refuse"]),
        "data.suspected_splits" => Kind::Choice(&["refuse", "keep"]),
        "run.deadline" => Kind::Deadline,
        "promote.when" => Kind::Choice(&["always", "not_worse"]),
        "search.method" => Kind::Choice(&["random", "grid"]),
        "train.init" => Kind::Choice(&["random", "latest"]),
        "evaluate.window" => Kind::Choice(&["expanding", "rolling"]),
        "task.kind" => Kind::Choice(&["returns", "series"]),
        "task.series.channels" => Kind::Choice(&["independent", "mixed"]),
        "task.series.normalization" => Kind::Choice(&["instance", "none"]),
        "task.series.loss" => Kind::Choice(&["mse", "mae"]),
        "notify.when" => Kind::Choice(&["always", "failure"]),
        "train.schedule" => Kind::Choice(&["cosine", "one_cycle", "constant"]),
        _ => return None,
    })
}

const DURATION: &str = "such as \"90s\", \"20m\" or \"1h 30m\"";

impl Kind {
    /// The kind of value at a key with this default.
    pub(super) fn of(path: &str, default: &Value) -> Self {
        if let Some(kind) = special(path) {
            return kind;
        }
        match default {
            Value::Boolean(_) => Self::Bool,
            Value::Integer(_) => Self::Whole,
            Value::Float(_) => Self::Number,
            Value::Array(items) => {
                Self::List(Box::new(items.first().map_or(Self::Text, |item| Self::of("", item))))
            }
            Value::String(text) if text == "auto" => Self::WordOrWhole("auto"),
            Value::String(text) if parse_duration(text).is_some() => Self::Duration,
            _ => Self::Text,
        }
    }

    /// What such values are, in words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Whole => "whole number".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::DurationOrAuto => "\"auto\" or a duration".to_owned(),
            Self::DurationOrNone => "\"none\" or a duration above zero".to_owned(),
            Self::SizeOrNone => "\"none\" or a size above zero".to_owned(),
            Self::Deadline => "\"none\", a time of day or a duration".to_owned(),
            Self::WholeOrAuto => "\"auto\" or a whole number from 1".to_owned(),
            Self::WordOrWhole(word) => format!("\"{word}\" or a whole number from 0"),
            Self::Choice(choices) => {
                let quoted: Vec<_> = choices.iter().map(|one| format!("\"{one}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::List(items) => format!("list, each item: {}", items.words()),
        }
    }

    /// What is wrong with a value that is not of this kind.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Text, Value::String(_))
            | (Self::Bool, Value::Boolean(_))
            | (Self::Number, Value::Float(_) | Value::Integer(_)) => Ok(()),
            (Self::Bool, Value::String(text)) if self.parse(text).is_ok() => {
                Err(format!("write it without quotes: {}", text.trim()))
            }
            (Self::Bool, _) => Err(format!("{} is not true or false", shown(value))),
            (Self::Text, _) => Err(format!("{} must stand in quotes", shown(value))),
            (Self::Whole, Value::Integer(number)) if *number >= 0 => Ok(()),
            (Self::Whole, Value::Integer(_)) => Err("must not be negative".to_owned()),
            (Self::Whole | Self::Number, _) => Err(self.no_number(value)),
            (Self::Duration, value) => duration(value, None),
            (Self::DurationOrAuto, value) => duration(value, Some("auto")),
            (Self::DurationOrNone, value) => duration(value, Some("none")),
            (Self::SizeOrNone, value) => size(value),
            (Self::Deadline, value) => deadline(value),
            (Self::WholeOrAuto, value) => word_or_whole(value, "auto", 1),
            (Self::WordOrWhole(word), value) => word_or_whole(value, word, 0),
            (Self::Choice(choices), Value::String(text)) if choices.contains(&text.as_str()) => {
                Ok(())
            }
            (Self::Choice(choices), _) => {
                let quoted: Vec<_> = choices.iter().map(|one| format!("\"{one}\"")).collect();
                Err(format!("{} is not one of {}", shown(value), quoted.join(", ")))
            }
            (Self::List(kind), Value::Array(items)) => {
                let mut numbered = items.iter().zip(1..);
                numbered.try_for_each(|(item, number)| {
                    kind.check(item).map_err(|message| format!("item {number}: {message}"))
                })
            }
            (Self::List(_), _) => {
                Err(format!("{} is not a list, such as [1, 5] or [\"A\", \"B\"]", shown(value)))
            }
        }
    }

    fn no_number(&self, value: &Value) -> String {
        let wanted = if *self == Self::Whole { "a whole number" } else { "a number" };
        match value {
            Value::String(text) if self.parse(text).is_ok() => {
                format!("write it without quotes: {}", text.trim())
            }
            value => format!("{} is not {wanted}", shown(value)),
        }
    }

    /// A value from text, as flags and environment variables have it. It may still be wrong.
    pub(crate) fn parse(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Whole => whole_number(text).map(Value::Integer),
            Self::Number => decimal(text).map(Value::Float),
            Self::Bool => truth(text).map(Value::Boolean),
            Self::List(kind) => list(text, kind),
            _ => Ok(Value::String(text.to_owned())),
        }
    }
}

/// A value in an error: short, and without what TOML's form adds.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        value => value.to_string(),
    }
}

/// The text of a value if it is one, or if it is a number that lacks its unit.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Integer(_) | Value::Float(_) => value.to_string(),
        _ => String::new(),
    }
}

fn duration(value: &Value, word: Option<&str>) -> Result<(), String> {
    let text = text_of(value);
    let read = match value {
        Value::String(_) if word == Some(text.as_str()) => return Ok(()),
        Value::String(_) => parse_duration(&text),
        _ => None,
    };
    match read {
        Some(time) if time.is_zero() && word == Some("none") => {
            Err("must be above zero; \"none\" is no limit".to_owned())
        }
        Some(_) => Ok(()),
        None => Err(without_unit(&text, "s", "m").unwrap_or_else(|| {
            let or = word.map_or_else(String::new, |word| format!("\"{word}\" or "));
            format!("{} is not {or}a duration with its unit, {DURATION}", shown(value))
        })),
    }
}

fn size(value: &Value) -> Result<(), String> {
    let text = text_of(value);
    if let Some(message) = without_unit(&text, "MB", "GiB").filter(|_| text != "0") {
        return Err(message);
    }
    match (value, parse_size(&text)) {
        (Value::String(_), _) if text == "none" => Ok(()),
        (Value::String(_), Ok(0)) => Err("must be above zero; \"none\" is no limit".to_owned()),
        (Value::String(_), Ok(_)) => Ok(()),
        _ => Err(format!("{} is not \"none\" or a size, such as \"2GiB\"", shown(value))),
    }
}

fn deadline(value: &Value) -> Result<(), String> {
    if Deadline::deserialize(value.clone()).is_ok() {
        return Ok(());
    }
    let forms = "\"none\", a local time such as \"06:00\", or a duration such as \"90m\"";
    Err(without_unit(&text_of(value), "h", "m")
        .unwrap_or_else(|| format!("{} is not {forms}", shown(value))))
}

fn word_or_whole(value: &Value, word: &str, least: u32) -> Result<(), String> {
    let number = match value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::String(text) if text.trim() == word => return Ok(()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let wrong = || format!("{} is not \"{word}\" or a whole number from {least}", shown(value));
    number.filter(|number| *number >= least).map(drop).ok_or_else(wrong)
}

fn whole_number(text: &str) -> Result<i64, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("\"{text}\" is not a whole number (up to {})", i64::MAX))
}

fn truth(text: &str) -> Result<bool, String> {
    text.trim().parse().map_err(|_| format!("\"{text}\" is not true or false"))
}

fn decimal(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| format!("\"{text}\" is not a number"))
}

/// A list in TOML's form, or with commas alone.
fn list(text: &str, kind: &Kind) -> Result<Value, String> {
    if text.trim_start().starts_with('[') {
        let table: Result<toml::Table, _> = toml::from_str(&format!("list = {text}"));
        let list = table.ok().and_then(|mut table| table.remove("list"));
        return list.ok_or_else(|| format!("{text} is not a list, such as [1, 5] or 1,5"));
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| kind.parse(item)).collect::<Result<_, _>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_what_to_write() {
        let choice = Kind::Choice(&["a", "b"]);
        for (kind, value, message) in [
            (Kind::Duration, Value::Integer(20), "20 has no unit: write \"20s\" or \"20m\""),
            (Kind::Duration, "20".into(), "20 has no unit: write \"20s\" or \"20m\""),
            (Kind::DurationOrAuto, "1.5".into(), "1.5 has no unit: write \"1.5s\" or \"1.5m\""),
            (Kind::SizeOrNone, 500.into(), "500 has no unit: write \"500MB\" or \"500GiB\""),
            (Kind::SizeOrNone, "500".into(), "500 has no unit: write \"500MB\" or \"500GiB\""),
            (Kind::Deadline, "6".into(), "6 has no unit: write \"6h\" or \"6m\""),
            (
                Kind::WordOrWhole("auto"),
                "x".into(),
                "\"x\" is not \"auto\" or a whole number from 0",
            ),
            (Kind::Whole, "20".into(), "write it without quotes: 20"),
            (Kind::Whole, "many".into(), "\"many\" is not a whole number"),
            (Kind::Whole, Value::Integer(-1), "must not be negative"),
            (Kind::Number, "0.5".into(), "write it without quotes: 0.5"),
            (Kind::Bool, "true".into(), "write it without quotes: true"),
            (Kind::Bool, Value::Integer(1), "1 is not true or false"),
            (Kind::Text, Value::Integer(7), "7 must stand in quotes"),
            (choice, "c".into(), "\"c\" is not one of \"a\", \"b\""),
        ] {
            assert_eq!(kind.check(&value), Err(message.to_owned()), "{kind:?}");
        }
        let list = Kind::List(Box::new(Kind::Whole));
        let value = Value::Array(vec![Value::Integer(1), "x".into()]);
        assert_eq!(list.check(&value), Err("item 2: \"x\" is not a whole number".to_owned()));
    }
}
