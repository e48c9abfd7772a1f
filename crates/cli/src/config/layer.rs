//! One layer of configuration: where it comes from and what it sets.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::keys::{KnownKeys, join};
use super::{ConfigError, Overrides};
use crate::inherited;

/// Prefix of environment variables that set keys.
const PREFIX: &str = "MAMBAFLEET_";

/// Variables with the prefix that are no configuration keys.
const OTHER_VARIABLES: [&str; 6] = [
    crate::logging::LOG_VARIABLE,
    "MAMBAFLEET_ISA",
    "MAMBAFLEET_TEST_BACKENDS",
    inherited::SYMBOL_VARIABLE,
    inherited::TOKEN_VARIABLE,
    inherited::DIR_VARIABLE,
];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The embedded defaults.
    Default,
    /// A file, and a line in it if one is to blame.
    File(PathBuf, Option<usize>),
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One layer: leaf values by dotted path, each with its origin.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) values: BTreeMap<String, (Value, Origin)>,
}

impl Layer {
    /// Reads a file.
    pub(crate) fn read(path: &Path, known: &KnownKeys) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &Origin::File(path.to_owned(), None), known)
    }

    /// Reads TOML text; `origin` is where it stands.
    pub(crate) fn parse(
        text: &str,
        origin: &Origin,
        known: &KnownKeys,
    ) -> Result<Self, ConfigError> {
        let at = |offset: usize| match origin {
            Origin::File(path, _) => {
                Origin::File(path.clone(), Some(1 + text[..offset].matches('\n').count()))
            }
            other => other.clone(),
        };
        let syntax = |error: toml::de::Error| ConfigError::Syntax {
            origin: error.span().map_or_else(|| origin.clone(), |span| at(span.start)),
            message: error.message().to_owned(),
        };
        let spanned = DeTable::parse(text).map_err(syntax)?;
        let plain: Table = toml::from_str(text).map_err(syntax)?;
        let mut layer = Self::default();
        layer.walk("", spanned.get_ref(), &plain, known, &at)?;
        Ok(layer)
    }

    fn walk(
        &mut self,
        prefix: &str,
        spanned: &DeTable<'_>,
        plain: &Table,
        known: &KnownKeys,
        at: &impl Fn(usize) -> Origin,
    ) -> Result<(), ConfigError> {
        for (key, value) in spanned {
            let path = join(prefix, key.get_ref());
            let origin = at(key.span().start);
            let plain = plain.get(key.get_ref().as_ref());
            match (value.get_ref(), plain) {
                (DeValue::Table(inner), Some(Value::Table(plain))) if known.is_table(&path) => {
                    self.walk(&path, inner, plain, known, at)?;
                }
                (_, Some(plain)) if known.contains(&path) => {
                    self.values.insert(path, (plain.clone(), at(start(value))));
                }
                _ if known.is_table(&path) => {
                    let message = "is a table: its keys go below it".to_owned();
                    return Err(ConfigError::Value { origin, key: path, message });
                }
                _ => {
                    let nearest = known.nearest(&path);
                    return Err(ConfigError::UnknownKey { origin, key: path, nearest });
                }
            }
        }
        Ok(())
    }

    /// Takes the environment variables that stand for keys.
    pub(crate) fn environment(
        variables: impl Iterator<Item = (OsString, OsString)>,
        known: &KnownKeys,
    ) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for (name, value) in variables {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            if OTHER_VARIABLES.contains(&name.as_ref()) {
                continue;
            }
            let origin = Origin::Variable(name.clone().into_owned());
            let Some(key) = known.of_variable(rest) else {
                let key = rest.to_ascii_lowercase().replacen('_', ".", 1);
                let nearest = known.nearest(&key);
                return Err(ConfigError::UnknownKey { origin, key, nearest });
            };
            layer.set(key, &value, origin, known)?;
        }
        Ok(layer)
    }

    /// Takes what flags set.
    pub(crate) fn flags(overrides: Overrides, known: &KnownKeys) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for (key, text, flag) in overrides {
            let origin = Origin::Flag(flag);
            if !known.contains(&key) {
                let nearest = known.nearest(&key);
                return Err(ConfigError::UnknownKey { origin, key, nearest });
            }
            layer.set(key, &text, origin, known)?;
        }
        Ok(layer)
    }

    fn set(
        &mut self,
        key: String,
        text: &str,
        origin: Origin,
        known: &KnownKeys,
    ) -> Result<(), ConfigError> {
        match known.parse(&key, text) {
            Ok(value) => {
                self.values.insert(key, (value, origin));
                Ok(())
            }
            Err(message) => Err(ConfigError::Value { origin, key, message }),
        }
    }
}

fn start(value: &Spanned<DeValue<'_>>) -> usize {
    value.span().start
}
