//! Names of generations and of the files in them.

use mambafleet_protocol::is_device_name;

/// The longest file name that a transaction accepts, in bytes.
const MAX_FILE_NAME: usize = 100;

/// The directory name of a generation: at least six digits.
pub(crate) fn dir_name(generation: u64) -> String {
    format!("{generation:06}")
}

/// The generation whose [`dir_name`] is `name`; `None` for every foreign name.
pub(crate) fn from_dir_name(name: &str) -> Option<u64> {
    let generation = name.parse().ok()?;
    (generation > 0 && dir_name(generation) == name).then_some(generation)
}

/// Why `name` cannot be a file of a generation, or `None` when it can.
///
/// Only plain portable names are accepted, so that a generation can be copied to any file system
/// and a manifest can never point out of its directory.
pub(crate) fn file_name_fault(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > MAX_FILE_NAME {
        Some("it is longer than 100 bytes")
    } else if !name.chars().all(plain) {
        Some("only letters, digits, '.', '_' and '-' are allowed")
    } else if name.starts_with(['.', '-']) || name.ends_with('.') {
        Some("it must not begin with '.' or '-', nor end with '.'")
    } else if name.eq_ignore_ascii_case(crate::MANIFEST_FILE) {
        Some("this name is the store's own")
    } else if is_device_name(&name.to_ascii_uppercase()) {
        Some("Windows takes it for a device")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_numbers_are_generations() {
        for (name, generation) in
            [("000001", 1), ("000999", 999), ("999999", 999_999), ("1000000", 1_000_000)]
        {
            assert_eq!(from_dir_name(name), Some(generation));
            assert_eq!(dir_name(generation), name);
        }
        for name in ["", "1", "00001", "000000", "0000001", "01000000", "+00001", "00000a"] {
            assert_eq!(from_dir_name(name), None, "{name:?}");
        }
        assert_eq!(from_dir_name("99999999999999999999"), None, "above u64");
    }

    #[test]
    fn file_names_are_plain() {
        for name in ["weights.safetensors", "a", "A-b_c.1", "manifest.json.bak"] {
            assert_eq!(file_name_fault(name), None, "{name:?}");
        }
        let long = "a".repeat(101);
        for name in
            ["", ".", "..", "a/b", "a\\b", "/a", "../a", ".hidden", "-a", "a.", "a b", "ä", "a\0"]
        {
            assert!(file_name_fault(name).is_some(), "{name:?}");
        }
        for name in [crate::MANIFEST_FILE, "Manifest.JSON", &long] {
            assert!(file_name_fault(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn devices_of_windows_are_no_files_anywhere() {
        for name in ["CON", "prn", "Aux.json", "nul.tar.gz", "COM1", "com9.txt", "lpt1", "LPT9.x"] {
            assert_eq!(file_name_fault(name), Some("Windows takes it for a device"), "{name:?}");
        }
        for name in ["console", "a.con", "com", "COM10", "lpt.txt", "xnul", "null.json"] {
            assert_eq!(file_name_fault(name), None, "{name:?}");
        }
    }
}
