//! Layered configuration: every value remembers which layer it came from.

mod error;
mod keys;
mod layer;
mod merge;
mod schema;
mod value;

use std::path::{Path, PathBuf};

pub(crate) use error::ConfigError;
pub(crate) use layer::{Layer, Origin};
pub(crate) use merge::Merged;
pub(crate) use schema::Config;
pub(crate) use value::{parse_duration, parse_size};

use keys::KnownKeys;

/// The embedded defaults; they also say which keys there are.
const DEFAULT: &str = include_str!("../../../../configs/default.toml");

/// Name of a project's configuration file.
const PROJECT_FILE: &str = "mambafleet.toml";

/// A configuration with the origin of each of its values.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) merged: Merged,
}

/// Values given by flags: key, text, and the flag as the user knows it.
pub(crate) type Overrides = Vec<(String, String, String)>;

/// Reads all layers in order and resolves them.
///
/// `file` is the one named with `--config`; without it, a project file is looked for in the
/// current directory and above.
pub(crate) fn load(file: Option<&Path>, overrides: Overrides) -> Result<Loaded, ConfigError> {
    let mut merged = Merged::default();
    let known = KnownKeys::of(DEFAULT)?;
    merged.add(Layer::parse(DEFAULT, &Origin::Default, &known)?);
    let user = user_file().filter(|path| path.is_file());
    let project = match file {
        Some(path) => Some(path.to_owned()),
        None => project_file(),
    };
    for path in [user, project].into_iter().flatten() {
        merged.add(Layer::read(&path, &known)?);
    }
    merged.add(Layer::environment(std::env::vars_os(), &known)?);
    merged.add(Layer::flags(overrides, &known)?);
    let config = merged.resolve()?;
    config.validate().map_err(|error| merged.locate(error))?;
    Ok(Loaded { config, merged })
}

/// Reads the built-in defaults alone.
#[cfg(test)]
fn defaults() -> Config {
    let known = KnownKeys::of(DEFAULT).unwrap();
    let mut merged = Merged::default();
    merged.add(Layer::parse(DEFAULT, &Origin::Default, &known).unwrap());
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
