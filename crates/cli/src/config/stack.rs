//! All layers on top of each other, for all symbols or for one.

use std::collections::BTreeSet;

use super::layer::{Entry, Layer, Values};
use super::merge::Merged;

/// The layers, each stronger than those before it.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    /// Defaults, files and profiles.
    pub(super) written: Vec<Layer>,
    /// Environment and flags: what holds for this call, whatever is written.
    pub(super) given: Vec<Layer>,
}

impl Stack {
    /// What applies to all symbols.
    pub(super) fn general(&self) -> Merged {
        self.merge(Vec::new())
    }

    /// What applies to a symbol that is in these groups. What is written for a group beats what is
    /// written for all, and what is written for the symbol beats both. Where two groups differ, the
    /// later place wins: the stronger layer, or the line further down.
    pub(super) fn of_symbol(&self, symbol: &str, groups: &BTreeSet<String>) -> Merged {
        let mut special = Vec::new();
        for layer in &self.written {
            let of_groups = groups.iter().filter_map(|group| layer.symbols.get(group));
            let mut entries: Vec<_> = of_groups.flatten().collect();
            entries.sort_by_key(|(_, (_, origin))| origin.place().1);
            special.extend(entries);
        }
        for layer in &self.written {
            special.extend(layer.symbols.get(symbol).into_iter().flatten());
        }
        let special = special.into_iter().map(|(key, value)| (key.clone(), value.clone()));
        self.merge(special)
    }

    /// The symbols and `@groups` for which something is written.
    pub(super) fn special(&self) -> BTreeSet<&str> {
        self.written.iter().flat_map(|layer| layer.symbols.keys().map(String::as_str)).collect()
    }

    /// What is written for one symbol or group, the stronger layers last.
    pub(super) fn written_for(&self, name: &str) -> Values {
        let parts = self.written.iter().filter_map(|layer| layer.symbols.get(name));
        parts.flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn merge(&self, special: impl IntoIterator<Item = (String, Entry)>) -> Merged {
        let mut merged = Merged::default();
        for layer in &self.written {
            merged.add(layer.values.clone());
        }
        merged.add(special);
        for layer in &self.given {
            merged.add(layer.values.clone());
        }
        merged
    }
}
