//! What can be wrong with a configuration.

use std::path::PathBuf;

use super::Origin;
use super::keys::nearest_name;

/// Everything that was found wrong with a configuration; never empty, in the order of the places.
pub(crate) type Mistakes = Vec<ConfigError>;

/// What can be wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A layer is not TOML.
    #[error("{origin}: {message}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What is wrong.
        message: String,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key \"{key}\"")]
    UnknownKey {
        /// Where.
        origin: Origin,
        /// The key.
        key: String,
        /// The existing key that is spelt most like it, or another way out.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of bounds.
    #[error("{origin}: {key}: {message}")]
    Value {
        /// Where.
        origin: Origin,
        /// The key.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// A profile or group that nobody has defined.
    #[error("{origin}: there is no {what} \"{name}\"{}", listed(known))]
    NoSuch {
        /// Who wants it.
        origin: Origin,
        /// `profile` or `group`.
        what: &'static str,
        /// Its name.
        name: Box<str>,
        /// Those that there are.
        known: Box<[String]>,
    },
    /// Profiles that inherit from each other.
    #[error("{origin}: profiles inherit in a circle: {}", chain.join(" -> "))]
    Circle {
        /// Where the circle closes.
        origin: Origin,
        /// From a profile back to itself.
        chain: Vec<String>,
    },
    /// A key that applies to a run as a whole stands in the overrides of a symbol.
    #[error("{origin}: {key} holds for a whole run, not for a symbol")]
    NotPerSymbol {
        /// Where.
        origin: Origin,
        /// The key.
        key: String,
    },
    /// A `--set` without an equals sign.
    #[error("--set {0}: expected KEY=VALUE, such as train.batch_size=32")]
    Assignment(String),
}

/// `; there is "a", "b"`, or nothing.
fn listed(known: &[String]) -> String {
    let quoted: Vec<_> = known.iter().map(|name| format!("\"{name}\"")).collect();
    if quoted.is_empty() { String::new() } else { format!("; there is {}", quoted.join(", ")) }
}

impl ConfigError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest: Some(nearest), .. } => {
                Some(format!("did you mean \"{nearest}\"?"))
            }
            Self::NoSuch { name, known, .. } => {
                let nearest = nearest_name(name, known.iter().map(String::as_str))?;
                Some(format!("did you mean \"{nearest}\"?"))
            }
            Self::UnknownKey { nearest: None, key, .. } if key.starts_with("symbol.") => {
                Some("a symbol with a dot stands in quotes: [symbol.\"BRK.B\".train]".to_owned())
            }
            Self::UnknownKey { nearest: None, .. } => {
                Some("`mambafleet config show` prints every key there is".to_owned())
            }
            Self::NotPerSymbol { .. } => {
                Some("keys below data, task, model and train can be set for a symbol".to_owned())
            }
            _ => None,
        }
    }

    /// Where it is.
    pub(crate) fn origin(&self) -> Option<Origin> {
        match self {
            Self::Read { path, .. } => Some(Origin::file(path)),
            Self::Syntax { origin, .. }
            | Self::UnknownKey { origin, .. }
            | Self::Value { origin, .. }
            | Self::NoSuch { origin, .. }
            | Self::Circle { origin, .. }
            | Self::NotPerSymbol { origin, .. } => Some(origin.clone()),
            Self::Assignment(_) => None,
        }
    }

    /// The key at fault, if one is.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::UnknownKey { key, .. }
            | Self::Value { key, .. }
            | Self::NotPerSymbol { key, .. } => Some(key),
            _ => None,
        }
    }
}
