//! The backends a program was built with.

use std::sync::Arc;

use mambafleet_protocol::ProgramSpec;

use crate::Backend;

/// The backends a program was built with, by name. The binary fills it; the worker looks up in it
/// the one that a job names.
#[derive(Default)]
pub struct Registry(Vec<Arc<dyn Backend>>);

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
        self.0.push(Arc::new(backend));
        self
    }

    /// The backend called `name`.
    ///
    /// # Errors
    /// [`UnknownBackend`] lists the names there are.
    pub fn get(&self, name: &str) -> Result<&dyn Backend, UnknownBackend> {
        self.find(name).map(AsRef::as_ref)
    }

    /// The backend called `name`, and with `program` if it is one that leaves its work to a
    /// program.
    ///
    /// # Errors
    /// [`UnknownBackend`] lists the names there are.
    pub fn open(
        &self,
        name: &str,
        program: Option<&ProgramSpec>,
    ) -> Result<Arc<dyn Backend>, UnknownBackend> {
        let backend = self.find(name)?;
        let with_program = program.and_then(|program| backend.with_program(program));
        Ok(with_program.unwrap_or_else(|| Arc::clone(backend)))
    }

    fn find(&self, name: &str) -> Result<&Arc<dyn Backend>, UnknownBackend> {
        self.0.iter().find(|backend| backend.name() == name).ok_or_else(|| UnknownBackend {
            name: name.to_owned(),
            known: self.iter().map(Backend::name).collect::<Vec<_>>().join(", "),
        })
    }

    /// All backends, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Backend> {
        self.0.iter().map(AsRef::as_ref)
    }
}
