//! Layered configuration: every value remembers which layer it came from.

mod check;
mod describe;
mod error;
mod file;
mod json_schema;
mod keys;
mod kind;
mod layer;
mod merge;
mod origin;
mod profile;
mod schema;
mod stack;
mod task;
mod value;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mambafleet_protocol::Symbol;

pub(crate) use error::{ConfigError, Mistakes};
pub(crate) use json_schema::json_schema;
pub(crate) use keys::{Key, KnownKeys, quoted};
pub(crate) use layer::{PROFILE_VARIABLE, Values};
pub(crate) use merge::{Merged, table};
pub(crate) use origin::Origin;
pub(crate) use schema::{Config, Observe, Predict, SearchMethod, When, is_there};
pub(crate) use value::{parse_address, parse_duration, parse_size};

use check::Checker;
use file::ConfigFile;
use layer::Layer;
use stack::Stack;

/// The embedded defaults; they also say which keys there are.
const DEFAULT: &str = include_str!("../../../../configs/default.toml");

/// Name of a project's configuration file.
const PROJECT_FILE: &str = "mambafleet.toml";

/// Every key there is.
pub(crate) fn known_keys() -> Result<KnownKeys, ConfigError> {
    KnownKeys::of(DEFAULT)
}

/// A configuration with the origin of each of its values.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) merged: Merged,
    stack: Stack,
}

/// What applies to one symbol.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) config: Config,
    pub(crate) merged: Merged,
    /// What it does not share with all symbols, by key.
    pub(crate) own: Vec<String>,
}

/// Values given by flags: key, text, and the flag as the user knows it.
pub(crate) type Overrides = Vec<(String, String, String)>;

/// Which files and profile a call names.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Choice<'a> {
    /// The file named with `--config`; without it, a project file is looked for in the current
    /// directory and above.
    pub(crate) file: Option<&'a Path>,
    /// The profile named with `--profile`; without it, the environment may name one.
    pub(crate) profile: Option<&'a str>,
}

/// What was found in the files of a configuration.
#[derive(Debug)]
pub(crate) struct Examined {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) profiles: Vec<String>,
    /// Symbols and groups with settings of their own.
    pub(crate) special: Vec<String>,
    pub(crate) mistakes: Mistakes,
}

/// Reads all layers in order and resolves them.
pub(crate) fn load(choice: Choice<'_>, overrides: Overrides) -> Result<Loaded, Mistakes> {
    let mut mistakes = Mistakes::new();
    let sources = Sources::read(choice.file, overrides, &mut mistakes)?;
    let stack = sources.stack(chosen_profile(choice.profile), &mut mistakes);
    let merged = stack.general();
    match check::settle(&merged) {
        Ok(config) => {
            check::special(&stack, &config, &mut mistakes);
            if mistakes.is_empty() {
                return Ok(Loaded { config, merged, stack });
            }
        }
        Err(error) => mistakes.push(error),
    }
    check::tidy(&mut mistakes);
    Err(mistakes)
}

/// Reads all layers, and looks at them with every profile and every override.
pub(crate) fn examine(choice: Choice<'_>, overrides: Overrides) -> Result<Examined, Mistakes> {
    let mut mistakes = Mistakes::new();
    let sources = Sources::read(choice.file, overrides, &mut mistakes)?;
    let profiles: Vec<_> = profile::names(&sources.files).into_iter().map(str::to_owned).collect();
    let each = profiles.iter().map(|name| Some((name.clone(), sources.place(name))));
    let mut special = BTreeSet::new();
    for wanted in std::iter::once(chosen_profile(choice.profile)).chain([None]).chain(each) {
        let stack = sources.stack(wanted, &mut mistakes);
        special.extend(stack.special().into_iter().map(str::to_owned));
        match check::settle(&stack.general()) {
            Ok(config) => check::special(&stack, &config, &mut mistakes),
            Err(error) => mistakes.push(error),
        }
    }
    check::tidy(&mut mistakes);
    let files = sources.files.into_iter().map(|file| file.path).collect();
    Ok(Examined { files, profiles, special: special.into_iter().collect(), mistakes })
}

impl Loaded {
    /// What applies to one symbol.
    pub(crate) fn of_symbol(&self, symbol: &Symbol) -> Result<Settled, ConfigError> {
        let groups = self.config.groups_of(symbol.as_str());
        let merged = self.stack.of_symbol(symbol.as_str(), &groups);
        let differs = |key: &str, value: &toml::Value| self.merged.get(key) != Some(value);
        let all = merged.iter().filter(|(key, value, _)| differs(key, value));
        let own: Vec<_> = all.map(|(key, _, _)| key.to_owned()).collect();
        let config = check::settle(&merged)?;
        Ok(Settled { config, merged, own })
    }

    /// What is written for single symbols and groups.
    pub(crate) fn special(&self) -> impl Iterator<Item = (&str, Values)> {
        self.stack.special().into_iter().map(|name| (name, self.stack.written_for(name)))
    }
}

/// All that the layers are made of.
struct Sources {
    default: Layer,
    files: Vec<ConfigFile>,
    given: Vec<Layer>,
}

impl Sources {
    /// Reads everything. Values that are wrong in themselves are left out and become mistakes.
    fn read(
        file: Option<&Path>,
        overrides: Overrides,
        mistakes: &mut Mistakes,
    ) -> Result<Self, Mistakes> {
        let known = KnownKeys::of(DEFAULT).map_err(|error| vec![error])?;
        let default = ConfigFile::parse(DEFAULT, &Origin::Default, &known, mistakes).layer;
        let user = user_file().filter(|path| path.is_file());
        let project = file.map(Path::to_owned).or_else(project_file);
        let paths = user.into_iter().chain(project);
        let mut files: Vec<_> =
            paths.map(|path| ConfigFile::read(&path, &known, mistakes)).collect();
        let environment = Layer::environment(std::env::vars_os(), &known, mistakes);
        let mut given = vec![environment, Layer::flags(overrides, &known, mistakes)];
        let checker = Checker { known: &known, defaults: &default.values };
        for file in &mut files {
            checker.sift(&mut file.layer, mistakes);
            for profile in file.profiles.values_mut() {
                checker.sift(&mut profile.layer, mistakes);
            }
        }
        for layer in &mut given {
            checker.sift(layer, mistakes);
        }
        Ok(Self { default, files, given })
    }

    /// The layers with a profile, or without any.
    fn stack(&self, profile: Option<(String, Origin)>, mistakes: &mut Mistakes) -> Stack {
        let files = self.files.iter().map(|file| file.layer.clone());
        let mut written: Vec<_> = std::iter::once(self.default.clone()).chain(files).collect();
        if let Some((name, origin)) = profile {
            written.extend(profile::layers(&self.files, &name, origin, mistakes));
        }
        Stack { written, given: self.given.clone() }
    }

    /// The file that has a profile.
    fn place(&self, profile: &str) -> Origin {
        let file = self.files.iter().rev().find(|file| file.profiles.contains_key(profile));
        file.map_or(Origin::Default, |file| Origin::file(&file.path))
    }
}

/// The profile that a flag or the environment names, and which of them it was.
fn chosen_profile(flag: Option<&str>) -> Option<(String, Origin)> {
    if let Some(name) = flag {
        return Some((name.to_owned(), Origin::Flag("--profile".to_owned())));
    }
    let name = std::env::var_os(PROFILE_VARIABLE).filter(|name| !name.is_empty())?;
    let origin = Origin::Variable(PROFILE_VARIABLE.to_owned());
    Some((name.to_string_lossy().into_owned(), origin))
}

/// Reads the built-in defaults alone.
#[cfg(test)]
fn defaults() -> Config {
    let mut mistakes = Mistakes::new();
    let known = KnownKeys::of(DEFAULT).unwrap();
    let layer = ConfigFile::parse(DEFAULT, &Origin::Default, &known, &mut mistakes).layer;
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let mut merged = Merged::default();
    merged.add(layer.values);
    merged.resolve().unwrap()
}

fn user_file() -> Option<PathBuf> {
    let base = match std::env::var_os("XDG_CONFIG_HOME") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => std::env::home_dir()?.join(".config"),
    };
    Some(base.join("mambafleet").join("config.toml"))
}

fn project_file() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|dir| dir.join(PROJECT_FILE)).find(|path| path.is_file())
}
