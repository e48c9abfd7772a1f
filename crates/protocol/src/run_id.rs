//! Identifiers of runs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of one run and of its directory below `runs/`: small letters, digits and `-`, at
/// most 64 bytes. Run identifiers begin with their UTC start time (`20260301-041500-123-3f9a`), so
/// that they sort by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// A text that cannot be a run identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a run id; run ids hold small letters, digits and '-' only")]
pub struct InvalidRunId(String);

impl RunId {
    /// Checks `text` and makes it a run identifier.
    ///
    /// # Errors
    /// [`InvalidRunId`] when it is empty, too long or holds another character.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidRunId> {
        let text = text.into();
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let shaped = !text.starts_with('-') && (1..=64).contains(&text.len());
        if shaped && text.bytes().all(allowed) { Ok(Self(text)) } else { Err(InvalidRunId(text)) }
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for RunId {
    type Err = InvalidRunId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidRunId;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_safe_directory_names() {
        assert!(RunId::new("20260301-041500-123-3f9a").is_ok());
        for text in ["", "..", "a/b", "A", "-a", " a", &"a".repeat(65)] {
            assert!(RunId::new(text).is_err(), "{text:?} was accepted");
        }
    }
}
