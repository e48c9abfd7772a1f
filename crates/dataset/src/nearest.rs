//! The most similar of several names, for "did you mean".

/// The name among `candidates` that a person most likely meant by `wanted`: the same but for
/// capitals and punctuation, or else few typing errors away (none allowed in names of one or two
/// characters, one up to five, a third of longer ones). Ties go to the alphabetically first.
pub(crate) fn nearest<S: AsRef<str>>(
    wanted: &str,
    candidates: impl IntoIterator<Item = S>,
) -> Option<S> {
    let plain = normalise(wanted);
    let allowed = match plain.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        n => n / 3,
    };
    candidates
        .into_iter()
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&plain, &normalise(name.as_ref()));
            (distance, name)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by(|a, b| (a.0, a.1.as_ref()).cmp(&(b.0, b.1.as_ref())))
        .map(|(_, name)| name)
}

fn normalise(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let files = ["AAPL", "BRK-B", "C", "MSFT", "NKE", "V"];
        let of = |wanted| nearest(wanted, files);
        assert_eq!(of("aapl"), Some("AAPL"));
        assert_eq!(of("APPL"), Some("AAPL"));
        assert_eq!(of("MFST"), Some("MSFT"));
        assert_eq!(of("BRK.B"), Some("BRK-B"));
        assert_eq!(of("v"), Some("V"));
        assert_eq!(of("X"), None);
        assert_eq!(of("NOPE"), None);
        assert_eq!(nearest("momentm5", ["momentum_20", "momentum_5"]), Some("momentum_5"));
    }
}
