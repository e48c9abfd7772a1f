//! The backends a program was built with.

use crate::Backend;

/// The backends a program was built with, by name. The binary fills it; the worker looks up in it
/// the one that a job names.
#[derive(Default)]
pub struct Registry(Vec<Box<dyn Backend>>);

/// No backend has the name asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no backend is called \"{name}\"; there is {known}")]
pub struct UnknownBackend {
    /// The name asked for.
    pub name: String,
    /// The names there are, separated by commas.
    pub known: String,
}

impl Registry {
    /// Adds a backend.
    #[must_use]
    pub fn with(mut self, backend: impl Backend + 'static) -> Self {
        self.0.push(Box::new(backend));
        self
    }

    /// The backend called `name`.
    ///
    /// # Errors
    /// [`UnknownBackend`] lists the names there are.
    pub fn get(&self, name: &str) -> Result<&dyn Backend, UnknownBackend> {
        self.iter().find(|b| b.name() == name).ok_or_else(|| UnknownBackend {
            name: name.to_owned(),
            known: self.iter().map(Backend::name).collect::<Vec<_>>().join(", "),
        })
    }

    /// All backends, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Backend> {
        self.0.iter().map(AsRef::as_ref)
    }
}
