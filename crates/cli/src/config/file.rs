//! Reads a configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mambafleet_protocol::Symbol;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::keys::{GROUPS, KnownKeys, PER_SYMBOL, PROFILE, SYMBOL, join, quoted};
use super::layer::{Layer, Values};
use super::{ConfigError, Mistakes, Origin};

/// The key of a profile that names the one it builds on.
pub(super) const INHERITS: &str = "inherits";

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    pub(super) path: PathBuf,
    /// What applies whatever the profile.
    pub(super) layer: Layer,
    pub(super) profiles: BTreeMap<String, Profile>,
}

/// A profile, as far as one file has it.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// The profile it builds on, and where that is said.
    pub(super) inherits: Option<(String, Origin)>,
    pub(super) layer: Layer,
}

impl ConfigFile {
    /// Reads a file; what is wrong in it goes to `mistakes`, and the rest is kept.
    pub(super) fn read(path: &Path, known: &KnownKeys, mistakes: &mut Mistakes) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &Origin::file(path), known, mistakes),
            Err(source) => {
                mistakes.push(ConfigError::Read { path: path.to_owned(), source });
                Self::default()
            }
        }
    }

    /// Reads TOML text; `origin` is where it stands.
    pub(super) fn parse(
        text: &str,
        origin: &Origin,
        known: &KnownKeys,
        mistakes: &mut Mistakes,
    ) -> Self {
        let path = origin.place().0.map(Path::to_owned).unwrap_or_default();
        let mut file = Self { path, ..Self::default() };
        let syntax = |error: &toml::de::Error| ConfigError::Syntax {
            origin: error.span().map_or_else(|| origin.clone(), |span| origin.at(text, span.start)),
            message: error.message().to_owned(),
        };
        let (spanned, errors) = DeTable::parse_recoverable(text);
        let plain: Table = match toml::from_str(text) {
            Ok(plain) if errors.is_empty() => plain,
            // What stands around a broken line may not mean what it seems to.
            Err(error) if errors.is_empty() => {
                mistakes.push(syntax(&error));
                return file;
            }
            _ => {
                mistakes.extend(errors.iter().map(syntax));
                return file;
            }
        };
        Reader { text, origin, known, mistakes }.file(spanned.get_ref(), &plain, &mut file);
        file
    }
}

/// Goes through the tables of a file.
struct Reader<'a> {
    text: &'a str,
    origin: &'a Origin,
    known: &'a KnownKeys,
    mistakes: &'a mut Mistakes,
}

/// A table with places beside the same one with plain values.
type Both<'a, 'i> = (&'a DeTable<'i>, &'a Table);

/// The parts of a key that its value is looked for under.
#[derive(Clone, Copy)]
struct Section<'a> {
    /// What stands before the key: nothing, a profile, a symbol.
    name: &'a str,
    /// Whether it holds for a symbol.
    per_symbol: bool,
}

impl Reader<'_> {
    fn file(&mut self, spanned: &DeTable<'_>, plain: &Table, file: &mut ConfigFile) {
        for (key, value, both) in entries(spanned, plain) {
            match key.get_ref().as_ref() {
                PROFILE => self.profiles(key, both, file),
                _ => self.entry("", (key, value, both), &mut file.layer),
            }
        }
    }

    fn profiles(
        &mut self,
        key: &Spanned<impl AsRef<str>>,
        both: Result<Both<'_, '_>, &Value>,
        file: &mut ConfigFile,
    ) {
        let Ok((spanned, plain)) = both else { return self.no_table(key, PROFILE) };
        for (name, _, both) in entries(spanned, plain) {
            let section = join(PROFILE, &quoted(name.get_ref()));
            let Ok((spanned, plain)) = both else {
                self.no_table(name, &section);
                continue;
            };
            let mut profile = Profile::default();
            for (key, value, both) in entries(spanned, plain) {
                if key.get_ref() == INHERITS {
                    profile.inherits = self.inherits(&section, value, both);
                } else {
                    self.entry(&section, (key, value, both), &mut profile.layer);
                }
            }
            file.profiles.insert(name.get_ref().to_string(), profile);
        }
    }

    fn inherits(
        &mut self,
        section: &str,
        value: &Spanned<DeValue<'_>>,
        plain: Result<Both<'_, '_>, &Value>,
    ) -> Option<(String, Origin)> {
        let origin = self.origin.at(self.text, value.span().start);
        if let Err(Value::String(base)) = plain {
            return Some((base.clone(), origin));
        }
        let message = "must be the name of one profile, such as \"night\"".to_owned();
        self.mistakes.push(ConfigError::Value { origin, key: join(section, INHERITS), message });
        None
    }

    /// A key at the top of the file or of a profile.
    fn entry(&mut self, name: &str, entry: Entry<'_, '_>, layer: &mut Layer) {
        let (key, _, both) = entry;
        if key.get_ref() != SYMBOL {
            let section = Section { name, per_symbol: false };
            return self.key(section, "", entry, &mut layer.values);
        }
        let symbols = join(name, SYMBOL);
        let Ok((spanned, plain)) = both else { return self.no_table(key, &symbols) };
        for (symbol, _, both) in entries(spanned, plain) {
            let section = join(&symbols, &quoted(symbol.get_ref()));
            let Ok(tables) = both else {
                self.no_table(symbol, &section);
                continue;
            };
            let named = symbol
                .get_ref()
                .strip_prefix('@')
                .map_or_else(|| Symbol::new(symbol.get_ref().as_ref()).map(drop), |_| Ok(()));
            if let Err(error) = named {
                let origin = self.origin.at(self.text, symbol.span().start);
                let message = error.to_string();
                self.mistakes.push(ConfigError::Value { origin, key: section.clone(), message });
            }
            let values = layer.symbols.entry(symbol.get_ref().to_string()).or_default();
            let section = Section { name: &section, per_symbol: true };
            for entry in entries(tables.0, tables.1) {
                self.key(section, "", entry, values);
            }
        }
    }

    fn key(&mut self, section: Section<'_>, prefix: &str, entry: Entry<'_, '_>, into: &mut Values) {
        let (key, value, both) = entry;
        let path = join(prefix, key.get_ref());
        let origin = self.origin.at(self.text, key.span().start);
        let whole = join(section.name, &path);
        let elsewhere = section.per_symbol && !is_per_symbol(&path);
        let exists = self.known.contains(&path) || self.known.is_table(&path);
        match both {
            _ if exists && elsewhere => {
                self.mistakes.push(ConfigError::NotPerSymbol { origin, key: whole });
            }
            Ok((spanned, plain)) if self.known.is_table(&path) => {
                for entry in entries(spanned, plain) {
                    self.key(section, &path, entry, into);
                }
            }
            _ if self.known.is_table(&path) => self.no_table(key, &whole),
            Err(plain) if self.known.contains(&path) => {
                let at = self.origin.at(self.text, value.span().start);
                into.insert(path, (plain.clone(), at.inside(section.name)));
            }
            Ok(_) if self.known.contains(&path) => {
                let message = "is a single value, not a table".to_owned();
                self.mistakes.push(ConfigError::Value { origin, key: whole, message });
            }
            both => {
                let nearest = self.known.nearest(&path, both.is_ok());
                let nearest = nearest.filter(|near| !section.per_symbol || is_per_symbol(near));
                let nearest = nearest.map(|near| join(section.name, &near));
                self.mistakes.push(ConfigError::UnknownKey { origin, key: whole, nearest });
            }
        }
    }

    fn no_table(&mut self, key: &Spanned<impl AsRef<str>>, path: &str) {
        let origin = self.origin.at(self.text, key.span().start);
        let message = "is a table: its keys go below it".to_owned();
        self.mistakes.push(ConfigError::Value { origin, key: path.to_owned(), message });
    }
}

fn is_per_symbol(path: &str) -> bool {
    let table = path.split('.').next().unwrap_or(path);
    table != GROUPS && PER_SYMBOL.contains(&table)
}

/// A key, its value with places, and the tables or the plain value behind it.
type Entry<'a, 'i> = (
    &'a Spanned<std::borrow::Cow<'i, str>>,
    &'a Spanned<DeValue<'i>>,
    Result<Both<'a, 'i>, &'a Value>,
);

fn entries<'a, 'i>(
    spanned: &'a DeTable<'i>,
    plain: &'a Table,
) -> impl Iterator<Item = Entry<'a, 'i>> {
    spanned.iter().filter_map(|(key, value)| {
        let plain = plain.get(key.get_ref().as_ref())?;
        let both = match (value.get_ref(), plain) {
            (DeValue::Table(spanned), Value::Table(plain)) => Ok((spanned, plain)),
            (_, plain) => Err(plain),
        };
        Some((key, value, both))
    })
}
