//! Profiles: named layers, each of which may build on another.

use std::collections::BTreeSet;

use super::file::{ConfigFile, Profile};
use super::layer::Layer;
use super::{ConfigError, Mistakes, Origin};

/// The names of all profiles of some files.
pub(super) fn names(files: &[ConfigFile]) -> BTreeSet<&str> {
    files.iter().flat_map(|file| file.profiles.keys().map(String::as_str)).collect()
}

/// The layers of a profile, those it builds on before it; of one profile, in the order of the
/// files. `origin` is who wants it.
pub(super) fn layers(
    files: &[ConfigFile],
    name: &str,
    origin: Origin,
    mistakes: &mut Mistakes,
) -> Vec<Layer> {
    let mut chain: Vec<String> = Vec::new();
    let mut wanted = Some((name.to_owned(), origin));
    while let Some((name, origin)) = wanted {
        if chain.contains(&name) {
            let from = chain.iter().position(|one| *one == name).unwrap_or(0);
            let chain = chain.split_off(from).into_iter().chain([name]).collect();
            mistakes.push(ConfigError::Circle { origin, chain });
            return Vec::new();
        }
        let parts: Vec<_> = parts(files, &name).collect();
        if parts.is_empty() {
            let known = names(files);
            let known = known.into_iter().map(str::to_owned).collect();
            mistakes.push(ConfigError::NoSuch {
                origin,
                what: "profile",
                name: name.into(),
                known,
            });
            return Vec::new();
        }
        chain.push(name);
        wanted = parts.iter().rev().find_map(|profile| profile.inherits.clone());
    }
    let layers = chain.iter().rev().flat_map(|name| parts(files, name));
    layers.map(|profile| profile.layer.clone()).collect()
}

fn parts<'a>(files: &'a [ConfigFile], name: &str) -> impl Iterator<Item = &'a Profile> {
    files.iter().filter_map(move |file| file.profiles.get(name))
}
