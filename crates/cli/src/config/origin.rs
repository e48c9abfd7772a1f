//! Where values come from.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The embedded defaults.
    Default,
    /// A file.
    File {
        /// The file.
        path: PathBuf,
        /// A line in it, if one is to blame.
        line: Option<usize>,
        /// The profile or the overrides that it stands in: `profile.night`, `symbol.AAPL`.
        section: Option<Box<str>>,
    },
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl Origin {
    /// A file as a whole.
    pub(crate) fn file(path: &Path) -> Self {
        Self::File { path: path.to_owned(), line: None, section: None }
    }

    /// The place in a file where this byte of its `text` stands; other origins stay as they are.
    pub(super) fn at(&self, text: &str, offset: usize) -> Self {
        let Self::File { path, section, .. } = self else { return self.clone() };
        let line = 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        Self::File { path: path.clone(), line: Some(line), section: section.clone() }
    }

    /// The same place as part of a section of its file.
    pub(super) fn inside(self, section: &str) -> Self {
        match self {
            Self::File { path, line, .. } if !section.is_empty() => {
                Self::File { path, line, section: Some(section.into()) }
            }
            other => other,
        }
    }

    /// The file and the line, if it is one.
    pub(crate) fn place(&self) -> (Option<&Path>, Option<usize>) {
        match self {
            Self::File { path, line, .. } => (Some(path), *line),
            _ => (None, None),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::File { path, line, section } => {
                write!(f, "{}", path.display())?;
                if let Some(line) = line {
                    write!(f, ":{line}")?;
                }
                section.as_ref().map_or(Ok(()), |section| write!(f, " in [{section}]"))
            }
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}
