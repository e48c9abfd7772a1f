//! Layers on top of each other.

use mambafleet_protocol::InvalidSpec;
use toml::{Table, Value};

use super::layer::{Entry, Values};
use super::{Config, ConfigError, Origin};

/// The values that won, by dotted path, each with its origin.
#[derive(Debug, Default, Clone)]
pub(crate) struct Merged {
    values: Values,
}

impl Merged {
    /// Puts values on top.
    pub(super) fn add(&mut self, values: impl IntoIterator<Item = (String, Entry)>) {
        self.values.extend(values);
    }

    /// Puts another value at `path`, which comes from where the value at `from` does.
    pub(crate) fn replace(&mut self, path: &str, from: &str, value: Value) {
        let origin = self.origin(from);
        self.values.insert(path.to_owned(), (value, origin));
    }

    /// Reads the values into their types, and checks them.
    pub(crate) fn settle(&self) -> Result<Config, ConfigError> {
        super::check::settle(self)
    }

    /// Every value with its origin, in the order of the paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value, &Origin)> {
        self.values.iter().map(|(path, (value, origin))| (path.as_str(), value, origin))
    }

    /// One value.
    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        self.values.get(path).map(|(value, _)| value)
    }

    /// The values as nested tables.
    pub(crate) fn table(&self) -> Table {
        table(&self.values)
    }

    /// Reads the values into their types.
    pub(crate) fn resolve(&self) -> Result<Config, ConfigError> {
        serde_path_to_error::deserialize(Value::Table(self.table())).map_err(|error| {
            let key = error.path().to_string();
            let message = error.into_inner().message().to_owned();
            ConfigError::Value { origin: self.origin(&key), key, message }
        })
    }

    /// A value that is out of bounds, with the place that set it.
    pub(crate) fn locate(&self, error: InvalidSpec) -> ConfigError {
        let InvalidSpec { key, message } = error;
        ConfigError::Value { origin: self.origin(key), key: key.to_owned(), message }
    }

    /// Where the value at `path`, or the nearest one below or above it, comes from.
    fn origin(&self, path: &str) -> Origin {
        // The path of a list's item ends in its index: `task.horizons[2]`.
        let path = path.split('[').next().unwrap_or(path);
        let inside = format!("{path}.");
        let exact = self.values.get(path);
        let below = || self.values.iter().filter(|(key, _)| key.starts_with(&inside));
        let latest = below().map(|(_, (_, origin))| origin).max();
        exact.map(|(_, origin)| origin).or(latest).cloned().unwrap_or(Origin::Default)
    }
}

/// Values as nested tables.
pub(crate) fn table(values: &Values) -> Table {
    let mut root = Table::new();
    for (path, (value, _)) in values {
        insert(&mut root, path, value.clone());
    }
    root
}

fn insert(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
