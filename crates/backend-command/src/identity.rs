//! What of a program weights depend on.

use std::path::Path;

use mambafleet_backend::BackendError;
use mambafleet_protocol::ProgramSpec;

/// A hash of the command's words, and of the content of every file that one of them names, or that
/// stands behind the first `=` in one. A program that is found in `PATH` is no such file.
pub(crate) fn of(spec: &ProgramSpec) -> Result<String, BackendError> {
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for (index, word) in spec.argv.iter().enumerate() {
        put(word.as_bytes());
        if index == 0 && !word.contains(std::path::is_separator) {
            continue;
        }
        let named = [Some(word.as_str()), word.split_once('=').map(|(_, value)| value)];
        for name in named.into_iter().flatten().filter(|name| !name.is_empty()) {
            let path = spec.dir.join(name);
            if path.is_file() {
                put(content_hash(&path)?.as_bytes());
            }
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn content_hash(path: &Path) -> Result<blake3::Hash, BackendError> {
    let read = || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(std::fs::File::open(path)?)?;
        Ok::<_, std::io::Error>(hasher.finalize())
    };
    read().map_err(|error| BackendError::Failed(format!("{}: {error}", path.display())))
}
