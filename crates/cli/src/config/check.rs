//! Finds everything that is wrong with a configuration, not only the first thing.

use std::collections::BTreeSet;

use mambafleet_protocol::InvalidSpec;
use toml::Value;

use super::keys::KnownKeys;
use super::kind::Kind;
use super::layer::{Layer, Values};
use super::merge::Merged;
use super::stack::Stack;
use super::{Config, ConfigError, Mistakes, Origin};

/// Checks values one by one, each among the defaults.
pub(super) struct Checker<'a> {
    pub(super) known: &'a KnownKeys,
    pub(super) defaults: &'a Values,
}

impl Checker<'_> {
    /// Takes every value out of a layer that is wrong in itself, so that the others can be looked
    /// at together.
    pub(super) fn sift(&self, layer: &mut Layer, mistakes: &mut Mistakes) {
        let all = std::iter::once(&mut layer.values).chain(layer.symbols.values_mut());
        for values in all {
            values.retain(|path, (value, origin)| match self.fault(path, value, origin) {
                None => true,
                Some(message) => {
                    let (origin, key) = (origin.clone(), path.clone());
                    mistakes.push(ConfigError::Value { origin, key, message });
                    false
                }
            });
        }
    }

    /// What is wrong with this value whatever the others are.
    fn fault(&self, path: &str, value: &Value, origin: &Origin) -> Option<String> {
        let kind = self.known.kind(path);
        if let Err(message) = kind.check(value) {
            return Some(message);
        }
        let mut merged = Merged::default();
        merged.add(self.defaults.clone());
        merged.add([(path.to_owned(), (value.clone(), origin.clone()))]);
        let outside = |error: InvalidSpec| (error.key == path).then_some(error.message);
        match merged.resolve() {
            Ok(config) => config.validate().err().and_then(outside),
            // The kind fits, so the type is too narrow.
            Err(_) if kind == Kind::Whole => Some(format!("{value} is too large")),
            Err(ConfigError::Value { message, .. }) => Some(message),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// What all values together say, for all symbols.
pub(super) fn settle(merged: &Merged) -> Result<Config, ConfigError> {
    let config = merged.resolve()?;
    config.validate().map_err(|error| merged.locate(error))?;
    Ok(config)
}

/// Checks what is written for symbols and groups, each on top of what is written for all.
pub(super) fn special(stack: &Stack, config: &Config, mistakes: &mut Mistakes) {
    for name in stack.special() {
        let merged = match name.strip_prefix('@') {
            None => stack.of_symbol(name, &config.groups_of(name)),
            Some(group) if config.groups.contains_key(group) => {
                stack.of_symbol("", &BTreeSet::from([name.to_owned()]))
            }
            Some(_) => {
                mistakes.extend(no_such_group(stack, config, name));
                continue;
            }
        };
        mistakes.extend(settle(&merged).err());
    }
}

fn no_such_group(stack: &Stack, config: &Config, name: &str) -> Option<ConfigError> {
    let (_, origin) = stack.written_for(name).into_values().next()?;
    let known = config.groups.keys().map(|group| format!("@{group}")).collect();
    Some(ConfigError::NoSuch { origin, what: "group", name: name.into(), known })
}

/// Each mistake once, in the order of the places.
pub(super) fn tidy(mistakes: &mut Mistakes) {
    mistakes.sort_by_cached_key(|mistake| (mistake.origin(), mistake.to_string()));
    mistakes.dedup_by_key(|mistake| mistake.to_string());
}

#[cfg(test)]
mod tests {
    use toml::Value;

    use super::*;
    use crate::config::DEFAULT;
    use crate::config::file::ConfigFile;

    #[test]
    fn each_kind_accepts_what_the_type_behind_it_does() {
        let known = KnownKeys::of(DEFAULT).unwrap();
        let mut mistakes = Mistakes::new();
        let file = ConfigFile::parse(DEFAULT, &Origin::Default, &known, &mut mistakes);
        let defaults = file.layer.values;
        let texts =
            ["auto", "none", "20s", "0s", "20", "0", "2GiB", "06:00", "cosine", "some text", ""]
                .map(Value::from);
        let lists = [vec![], vec![Value::from(1)], vec![0.5.into()], vec!["A".into()]];
        let numbers = [Value::from(0), 1.into(), (-1).into(), 0.5.into(), true.into()];
        let values = texts.into_iter().chain(lists.map(Value::from)).chain(numbers);
        let values: Vec<_> = values.collect();
        for (path, key) in known.iter() {
            for value in &values {
                let mut merged = Merged::default();
                merged.add(defaults.clone());
                merged.add([(path.to_owned(), (value.clone(), Origin::Default))]);
                // The type takes both words, the kind the one that means something there.
                let words =
                    matches!(key.kind, Kind::WordOrWhole(word) if value.as_str() != Some(word));
                if words && matches!(value.as_str(), Some("auto" | "none")) {
                    continue;
                }
                let (kind, resolved) = (key.kind.check(value), merged.resolve());
                assert_eq!(
                    kind.is_ok(),
                    resolved.is_ok(),
                    "{path} = {value}: {kind:?}, {resolved:?}"
                );
            }
        }
    }
}
