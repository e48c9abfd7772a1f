//! What can be wrong with a configuration.

use std::path::PathBuf;

use super::Origin;

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
        /// The existing key that is spelt most like it.
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
    /// A `--set` without an equals sign.
    #[error("--set {0}: expected KEY=VALUE, such as train.batch_size=32")]
    Assignment(String),
}

impl ConfigError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest: Some(nearest), .. } => {
                Some(format!("did you mean \"{nearest}\"?"))
            }
            Self::UnknownKey { nearest: None, .. } => {
                Some("`mambafleet config show` prints every key there is".to_owned())
            }
            _ => None,
        }
    }
}
