//! What the comments of the embedded defaults say about each key.

use std::collections::BTreeMap;

use super::keys::join;

/// The comment above each key and above or right below each table's header, by dotted path.
pub(super) fn descriptions(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut table = String::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix('#') {
            comment.push(said.trim());
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
            note(&mut found, table.clone(), &mut comment);
        } else if let Some((key, _)) = line.split_once('=') {
            note(&mut found, join(&table, key.trim()), &mut comment);
        }
        comment.clear();
    }
    found
}

fn note(found: &mut BTreeMap<String, String>, path: String, comment: &mut Vec<&str>) {
    if !comment.is_empty() {
        found.insert(path, comment.join(" "));
    }
    comment.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_belong_to_what_follows_them_at_once() {
        let text =
            "# File.\n\n[a]\n# One,\n# two.\nx = 1\ny = 2\n# Lost.\n\nz = 3\n# B.\n[b.c]\nx = 4";
        let found: Vec<_> = descriptions(text).into_iter().collect();
        let expected = [("a.x", "One, two."), ("b.c", "B.")];
        assert_eq!(found, expected.map(|(key, said)| (key.to_owned(), said.to_owned())));
    }
}
