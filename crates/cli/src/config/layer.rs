//! One layer of configuration: what it sets, each value with its origin.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::Value;

use super::keys::{KnownKeys, SYMBOL};
use super::{ConfigError, Mistakes, Origin, Overrides};
use crate::{inherited, notify};

/// Prefix of environment variables that set keys.
const PREFIX: &str = "MAMBAFLEET_";

/// The environment variable that chooses a profile.
pub(crate) const PROFILE_VARIABLE: &str = "MAMBAFLEET_PROFILE";

/// Variables with the prefix that are no configuration keys.
const OTHER_VARIABLES: [&str; 7] = [
    crate::logging::LOG_VARIABLE,
    PROFILE_VARIABLE,
    "MAMBAFLEET_ISA",
    "MAMBAFLEET_TEST_BACKENDS",
    inherited::SYMBOL_VARIABLE,
    inherited::TOKEN_VARIABLE,
    inherited::DIR_VARIABLE,
];

/// A value and where it comes from.
pub(crate) type Entry = (Value, Origin);

/// Values by dotted path.
pub(crate) type Values = BTreeMap<String, Entry>;

/// One layer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Layer {
    /// What it sets for all symbols.
    pub(super) values: Values,
    /// What it sets for one symbol, or for an `@group`.
    pub(super) symbols: BTreeMap<String, Values>,
}

impl Layer {
    /// Takes the environment variables that stand for keys.
    pub(super) fn environment(
        variables: impl Iterator<Item = (OsString, OsString)>,
        known: &KnownKeys,
        mistakes: &mut Mistakes,
    ) -> Self {
        let mut layer = Self::default();
        for (name, value) in variables {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            if OTHER_VARIABLES.contains(&name.as_ref()) || name.starts_with(notify::PREFIX) {
                continue;
            }
            let origin = Origin::Variable(name.clone().into_owned());
            match known.of_variable(rest) {
                Some(key) => layer.set(key, &value, origin, known, mistakes),
                None => {
                    let key = rest.to_ascii_lowercase().replacen('_', ".", 1);
                    let nearest = known.nearest(&key, false);
                    mistakes.push(ConfigError::UnknownKey { origin, key, nearest });
                }
            }
        }
        layer
    }

    /// Takes what flags set.
    pub(super) fn flags(overrides: Overrides, known: &KnownKeys, mistakes: &mut Mistakes) -> Self {
        let mut layer = Self::default();
        for (key, text, flag) in overrides {
            let origin = Origin::Flag(flag);
            if known.contains(&key) {
                layer.set(key, &text, origin, known, mistakes);
                continue;
            }
            // What holds for one symbol is written in files alone.
            let in_file = key.split('.').next() == Some(SYMBOL) && key.len() > SYMBOL.len();
            let nearest = if in_file { None } else { known.nearest(&key, false) };
            mistakes.push(ConfigError::UnknownKey { origin, key, nearest });
        }
        layer
    }

    fn set(
        &mut self,
        key: String,
        text: &str,
        origin: Origin,
        known: &KnownKeys,
        mistakes: &mut Mistakes,
    ) {
        match known.kind(&key).parse(text) {
            Ok(value) => {
                self.values.insert(key, (value, origin));
            }
            Err(message) => mistakes.push(ConfigError::Value { origin, key, message }),
        }
    }
}
