//! Places that files are to be written to.

use std::path::Path;

use crate::error::CliError;

/// Refuses a file that could not be written in the end, before anything is done. `name` is what it was
/// given by.
pub(crate) fn check_place(name: &str, file: &Path) -> Result<(), CliError> {
    let dir = dir_of(file);
    let wrong = |what: String| Err(CliError::usage(format!("{name} {}: {what}", file.display())));
    if !dir.is_dir() {
        return wrong(format!("{} is not a directory", dir.display()));
    }
    // A device or a pipe would be replaced by a file.
    if file.exists() && !file.is_file() || file.file_name().is_none() {
        return wrong("is not a file".to_owned());
    }
    Ok(())
}

/// Refuses a file in the directory of a store: what lies there is the store's own.
pub(crate) fn check_outside(name: &str, file: &Path, store: &Path) -> Result<(), CliError> {
    let canonical = |path: &Path| path.canonicalize().ok();
    let inside = canonical(dir_of(file)).zip(canonical(store));
    if inside.is_some_and(|(dir, store)| dir.starts_with(store)) {
        let message = format!("{name} {}: is inside the store", file.display());
        return Err(CliError::usage(message).with_hint("name a file elsewhere"));
    }
    Ok(())
}

/// The directory that a file lies in.
fn dir_of(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
