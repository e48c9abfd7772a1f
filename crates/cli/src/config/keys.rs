//! Which keys there are: exactly those of the embedded defaults.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{ConfigError, Origin};

/// The table whose keys users choose themselves.
const FREE_TABLE: &str = "groups";

/// Every key there is, as a dotted path, with its default value.
#[derive(Debug)]
pub(crate) struct KnownKeys(BTreeMap<String, Value>);

impl KnownKeys {
    /// The keys of the embedded defaults.
    pub(crate) fn of(defaults: &str) -> Result<Self, ConfigError> {
        let table: Table = toml::from_str(defaults).map_err(|error| ConfigError::Syntax {
            origin: Origin::Default,
            message: error.message().to_owned(),
        })?;
        let mut keys = BTreeMap::new();
        collect("", &table, &mut keys);
        Ok(Self(keys))
    }

    /// Whether a value may stand at this path.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.contains_key(path) || is_free(path)
    }

    /// Whether this path is a table that holds keys.
    pub(crate) fn is_table(&self, path: &str) -> bool {
        let prefix = format!("{path}.");
        path == FREE_TABLE || self.0.keys().any(|key| key.starts_with(&prefix))
    }

    /// The key spelt most like `path`, if any is close.
    pub(crate) fn nearest(&self, path: &str) -> Option<String> {
        let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
        let score = |key: &str| {
            let whole = strsim::jaro_winkler(key, path);
            // A key under the wrong table: `epochs` instead of `train.epochs`.
            whole.max(0.98 * strsim::jaro_winkler(&last(key), &last(path)))
        };
        let tables = self.0.keys().filter_map(|key| Some(key.rsplit_once('.')?.0));
        let names = self.0.keys().map(String::as_str).chain(tables);
        let best = names.max_by(|a, b| score(a).total_cmp(&score(b)))?;
        (score(best) > 0.8).then(|| best.to_owned())
    }

    /// The key that an environment variable's name, without its prefix, stands for.
    pub(crate) fn of_variable(&self, name: &str) -> Option<String> {
        let as_variable = |key: &str| key.to_ascii_uppercase().replace('.', "_");
        if let Some(key) = self.0.keys().find(|key| as_variable(key) == name) {
            return Some(key.clone());
        }
        let group = name.strip_prefix("GROUPS_")?;
        Some(format!("{FREE_TABLE}.{}", group.to_ascii_lowercase()))
    }

    /// A value for `path` from text, read as the type that its default has.
    pub(crate) fn parse(&self, path: &str, text: &str) -> Result<Value, String> {
        match self.0.get(path) {
            Some(Value::Integer(_)) => whole_number(text).map(Value::Integer),
            Some(Value::Float(_)) => decimal(text).map(Value::Float),
            Some(Value::Array(items)) => list(text, items.first()),
            None if is_free(path) => list(text, None),
            Some(_) | None => Ok(Value::String(text.to_owned())),
        }
    }
}

fn is_free(path: &str) -> bool {
    path.split_once('.').is_some_and(|(table, key)| table == FREE_TABLE && !key.contains('.'))
}

fn collect(prefix: &str, table: &Table, keys: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let path = join(prefix, key);
        match value {
            Value::Table(inner) => collect(&path, inner, keys),
            value => {
                keys.insert(path, value.clone());
            }
        }
    }
}

/// `prefix.key`, or `key` at the top.
pub(crate) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn whole_number(text: &str) -> Result<i64, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("\"{text}\" is not a whole number (up to {})", i64::MAX))
}

fn decimal(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| format!("\"{text}\" is not a number"))
}

/// A comma-separated list whose items have the type of `like`.
fn list(text: &str, like: Option<&Value>) -> Result<Value, String> {
    if text.trim_start().starts_with('[') {
        let table: Result<Table, _> = toml::from_str(&format!("list = {text}"));
        let list = table.ok().and_then(|mut table| table.remove("list"));
        return list.ok_or_else(|| format!("{text} is not a list, such as [1, 5] or 1,5"));
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let parsed: Result<Vec<Value>, String> = items
        .map(|item| match like {
            Some(Value::Integer(_)) => whole_number(item).map(Value::Integer),
            Some(Value::Float(_)) => decimal(item).map(Value::Float),
            _ => Ok(Value::String(item.to_owned())),
        })
        .collect();
    parsed.map(Value::Array)
}
