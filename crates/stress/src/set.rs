//! What writers save: three files that name their writer, so that a reader can tell what it sees.
//!
//! Every file carries the *id* of the one save that made it, and enough to prove itself whole: the
//! weights carry the hash of their values, and the two JSON files are, byte for byte, what their
//! id implies. A reader needs no knowledge of the writers to judge a set.

use blake3::Hash;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::StressError;

/// The files of a set, in the order in which they are saved.
pub const FILES: [&str; 3] = ["weights.safetensors", "metrics.json", "metadata.json"];

/// The contents of the files of a set, in the order of [`FILES`].
pub type Contents = [Vec<u8>; 3];

/// Numbers in each JSON file: about as many bytes as the metrics of a short training take.
const NUMBERS: usize = 100;

/// The keys of the texts beside the weights.
const ID: &str = "id";
const HASH: &str = "blake3";

/// One writer's set.
#[derive(Debug, Clone)]
pub struct Set {
    /// Names the save that this set is for, and no other.
    pub id: String,
    /// The files.
    pub contents: Contents,
}

/// What a set of files turns out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All files are whole and one writer's own.
    Whole {
        /// The id that they carry.
        id: String,
    },
    /// Files are cut short, longer than they should be, or hold what nobody wrote.
    Torn {
        /// Their names, each with what is wrong.
        files: Vec<String>,
    },
    /// Each file is whole, but they are not one writer's.
    Mixed {
        /// The ids that they carry.
        ids: Vec<String>,
    },
}

impl Set {
    /// A new set of writer number `writer`, with about `bytes` bytes of weights.
    ///
    /// # Errors
    /// [`StressError::Encode`] when a file cannot be laid out.
    pub fn new(writer: u32, iteration: u32, bytes: usize) -> Result<Self, StressError> {
        let seed: u64 = rand::random();
        let id = format!("w{writer}-i{iteration}-{seed:016x}");
        let values = values(seed, bytes);
        let hash = blake3::hash(&values);
        let contents = [
            weights(&id, &values, hash)?,
            record(&id, FILES[1], hash)?,
            record(&id, FILES[2], hash)?,
        ];
        Ok(Self { id, contents })
    }

    /// The files and their names.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        FILES.into_iter().zip(self.contents.iter().map(Vec::as_slice))
    }
}

/// Judges the files of a set.
#[must_use]
pub fn judge(contents: &Contents) -> Verdict {
    let [weights, metrics, metadata] = contents;
    let read = [read_weights(weights), read_record(metrics, 1), read_record(metadata, 2)];
    let mut files = Vec::new();
    let mut claims = Vec::new();
    for (name, read) in FILES.iter().zip(read) {
        match read {
            Ok(claim) => claims.push(claim),
            Err(reason) => files.push(format!("{name}: {reason}")),
        }
    }
    if !files.is_empty() {
        return Verdict::Torn { files };
    }
    if claims.windows(2).any(|pair| pair[0] != pair[1]) {
        return Verdict::Mixed { ids: claims.into_iter().map(|claim| claim.id).collect() };
    }
    let id = claims.into_iter().next().map(|claim| claim.id).unwrap_or_default();
    Verdict::Whole { id }
}

/// What a whole file says of the set that it belongs to.
#[derive(PartialEq, Eq)]
struct Claim {
    id: String,
    weights: Hash,
}

/// A JSON file of a set.
#[derive(Serialize, Deserialize)]
struct Record {
    id: String,
    file: String,
    /// The hash of the weights' values.
    weights: String,
    /// Follows from the id.
    numbers: Vec<u64>,
}

fn record(id: &str, file: &str, weights: Hash) -> Result<Vec<u8>, StressError> {
    let seed = u64::from_le_bytes(first_bytes(&blake3::hash(id.as_bytes())));
    let record = Record {
        id: id.to_owned(),
        file: file.to_owned(),
        weights: weights.to_hex().to_string(),
        numbers: mixed(seed).take(NUMBERS).collect(),
    };
    serde_json::to_vec_pretty(&record).map_err(|error| StressError::Encode(error.to_string()))
}

fn read_record(bytes: &[u8], file: usize) -> Result<Claim, String> {
    let read: Record = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let weights = Hash::from_hex(&read.weights).map_err(|error| error.to_string())?;
    let expected = record(&read.id, FILES[file], weights).map_err(|error| error.to_string())?;
    if expected != bytes {
        return Err("not what any writer wrote".to_owned());
    }
    Ok(Claim { id: read.id, weights })
}

fn weights(id: &str, values: &[u8], hash: Hash) -> Result<Vec<u8>, StressError> {
    let encode = |error: safetensors::SafeTensorError| StressError::Encode(error.to_string());
    let texts = [(ID, id.to_owned()), (HASH, hash.to_hex().to_string())];
    let texts = texts.map(|(key, text)| (key.to_owned(), text)).into();
    let view = TensorView::new(Dtype::F32, vec![values.len() / size_of::<f32>()], values);
    safetensors::serialize([("weights", view.map_err(encode)?)], Some(texts)).map_err(encode)
}

fn read_weights(bytes: &[u8]) -> Result<Claim, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let text = |key| header.metadata().as_ref().and_then(|texts| texts.get(key)).cloned();
    let (Some(id), Some(hash)) = (text(ID), text(HASH)) else {
        return Err("it does not say whose it is".to_owned());
    };
    let tensor = file.tensor("weights").map_err(|error| error.to_string())?;
    let found = blake3::hash(tensor.data());
    if found.to_hex().as_str() != hash {
        return Err("not what any writer wrote".to_owned());
    }
    Ok(Claim { id, weights: found })
}

/// At least `bytes` bytes of 32-bit floats between 1 and 2, fast to make.
fn values(seed: u64, bytes: usize) -> Vec<u8> {
    let floats = mixed(seed).flat_map(|bits| [bits as u32, (bits >> 32) as u32]);
    let one_to_two = floats.map(|bits| (bits >> 9) | 0x3f80_0000);
    one_to_two.take(bytes.div_ceil(size_of::<f32>())).flat_map(u32::to_le_bytes).collect()
}

/// Bits without a pattern, by Vigna's SplitMix64.
fn mixed(seed: u64) -> impl Iterator<Item = u64> {
    (1..).map(move |step: u64| {
        let mut bits = seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    })
}

fn first_bytes(hash: &Hash) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(writer: u32) -> Set {
        Set::new(writer, 7, 1000).unwrap()
    }

    #[test]
    fn a_set_is_whole_and_says_whose_it_is() {
        let set = set(3);
        assert_eq!(judge(&set.contents), Verdict::Whole { id: set.id.clone() });
        assert!(set.id.starts_with("w3-i7-"), "{}", set.id);
        assert!((1000..1400).contains(&set.contents[0].len()), "{}", set.contents[0].len());
        assert_ne!(set.id, self::set(3).id, "each save has its own id");
    }

    #[test]
    fn any_file_of_another_writer_makes_it_mixed() {
        for file in 0..FILES.len() {
            let (mut mine, theirs) = (set(1), set(2));
            mine.contents[file].clone_from(&theirs.contents[file]);
            let Verdict::Mixed { ids } = judge(&mine.contents) else { panic!("file {file}") };
            assert_eq!((ids.len(), &ids[file]), (3, &theirs.id));
        }
    }

    /// Every way in which writers that overwrite in place can spoil a file.
    #[test]
    fn every_tear_is_seen_and_named() {
        for (file, name) in FILES.iter().enumerate() {
            let (whole, other) = (set(1), set(2));
            let whole_file = &whole.contents[file];
            let half = whole_file.len() / 2;
            let spliced = [&whole_file[..half], &other.contents[file][half..]].concat();
            let longer = [whole_file, &b"}"[..]].concat();
            let mut flipped = whole_file.clone();
            flipped[half + 20] ^= 1;
            for torn in [Vec::new(), whole_file[..half].to_vec(), spliced, longer, flipped] {
                let mut contents = whole.contents.clone();
                contents[file] = torn;
                let Verdict::Torn { files } = judge(&contents) else { panic!("{name}") };
                assert_eq!(files.len(), 1, "{files:?}");
                assert!(files[0].starts_with(name), "{files:?}");
            }
        }
    }

    #[test]
    fn weights_that_do_not_say_whose_they_are_are_torn() {
        let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
        let mut contents = set(1).contents;
        contents[0] = safetensors::serialize([("weights", view)], None).unwrap();
        assert!(matches!(judge(&contents), Verdict::Torn { .. }));
    }

    #[test]
    fn the_smallest_set_is_whole() {
        let set = Set::new(0, 0, 1).unwrap();
        assert!(matches!(judge(&set.contents), Verdict::Whole { .. }));
    }
}
