//! Which keys there are: exactly those of the embedded defaults.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::describe::descriptions;
use super::kind::Kind;
use super::{ConfigError, Origin};

/// The table whose keys users choose themselves.
pub(super) const GROUPS: &str = "groups";

/// The table of profiles.
pub(super) const PROFILE: &str = "profile";

/// The table of what holds for one symbol or group alone.
pub(super) const SYMBOL: &str = "symbol";

/// Tables whose keys can be set for a symbol.
pub(super) const PER_SYMBOL: [&str; 4] = ["data", "task", "model", "train"];

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) default: Value,
    pub(crate) kind: Kind,
    /// What the comments of the embedded defaults say about it.
    pub(crate) description: String,
}

/// Every key there is, as a dotted path.
#[derive(Debug)]
pub(crate) struct KnownKeys {
    keys: BTreeMap<String, Key>,
    /// What the comments say about tables.
    pub(crate) tables: BTreeMap<String, String>,
}

impl KnownKeys {
    /// The keys of the embedded defaults.
    pub(super) fn of(defaults: &str) -> Result<Self, ConfigError> {
        let table: Table = toml::from_str(defaults).map_err(|error| ConfigError::Syntax {
            origin: Origin::Default,
            message: error.message().to_owned(),
        })?;
        let mut tables = descriptions(defaults);
        let mut keys = BTreeMap::new();
        collect("", &table, &mut |path, value| {
            let description = tables.remove(&path).unwrap_or_default();
            let kind = Kind::of(&path, value);
            keys.insert(path, Key { default: value.clone(), kind, description });
        });
        Ok(Self { keys, tables })
    }

    /// Every key, in the order of the paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.keys.iter().map(|(path, key)| (path.as_str(), key))
    }

    /// Whether a value may stand at this path.
    pub(super) fn contains(&self, path: &str) -> bool {
        self.keys.contains_key(path) || is_free(path)
    }

    /// The kind of value at this path.
    pub(super) fn kind(&self, path: &str) -> Kind {
        let list = || Kind::List(Box::new(Kind::Text));
        self.keys.get(path).map_or_else(list, |key| key.kind.clone())
    }

    /// Whether this path is a table that holds keys.
    pub(super) fn is_table(&self, path: &str) -> bool {
        let prefix = format!("{path}.");
        path == GROUPS || self.keys.keys().any(|key| key.starts_with(&prefix))
    }

    /// The key spelt most like `path`, if any is close; `table`: the table, for a table.
    pub(super) fn nearest(&self, path: &str, table: bool) -> Option<String> {
        let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
        let score = |key: &str| {
            let whole = strsim::jaro_winkler(key, path);
            // A key under the wrong table: `epochs` instead of `train.epochs`.
            whole.max(0.98 * strsim::jaro_winkler(&last(key), &last(path)))
        };
        let tables = self.keys.keys().filter_map(|key| Some(key.rsplit_once('.')?.0));
        let leaves = self.keys.keys().map(String::as_str).filter(|_| !table);
        let names = leaves.chain(tables).chain([GROUPS, PROFILE, SYMBOL]);
        let best = names.max_by(|a, b| score(a).total_cmp(&score(b)))?;
        (score(best) > 0.8).then(|| best.to_owned())
    }

    /// The key that an environment variable's name, without its prefix, stands for.
    pub(super) fn of_variable(&self, name: &str) -> Option<String> {
        let as_variable = |key: &str| key.to_ascii_uppercase().replace('.', "_");
        if let Some(key) = self.keys.keys().find(|key| as_variable(key) == name) {
            return Some(key.clone());
        }
        let group = name.strip_prefix("GROUPS_")?;
        Some(format!("{GROUPS}.{}", group.to_ascii_lowercase()))
    }
}

fn is_free(path: &str) -> bool {
    path.split_once('.').is_some_and(|(table, key)| table == GROUPS && !key.contains('.'))
}

fn collect(prefix: &str, table: &Table, take: &mut impl FnMut(String, &Value)) {
    for (key, value) in table {
        let path = join(prefix, key);
        match value {
            Value::Table(inner) => collect(&path, inner, take),
            value => take(path, value),
        }
    }
}

/// `prefix.key`, or `key` at the top.
pub(crate) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// A name as TOML has it in a dotted key: in quotes unless it is a bare one.
pub(crate) fn quoted(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The name spelt most like `name`, if any is close.
pub(super) fn nearest_name<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let score = |one: &str| strsim::jaro_winkler(one, name);
    let best = known.max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) > 0.8).then_some(best)
}
