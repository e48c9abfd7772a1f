//! What a disk holds, in memory.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::log::Entry;

/// The unit in which changes are noted.
pub const PAGE: usize = 4096;

/// The content of a disk. Writes beyond its end are ignored, as a disk would.
#[derive(Debug)]
pub struct Image {
    bytes: Vec<u8>,
    touched: BTreeSet<usize>,
}

/// What a write replaced.
#[derive(Debug)]
pub struct Undo {
    at: usize,
    before: Vec<u8>,
}

/// What an [`Image`] starts from: the pages that hold anything.
#[derive(Debug, Clone)]
pub struct Pristine {
    length: usize,
    pages: Vec<(usize, Vec<u8>)>,
}

impl Pristine {
    /// A disk that holds `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let used = |(_, page): &(usize, &[u8])| page.iter().any(|&byte| byte != 0);
        let pages = bytes.chunks(PAGE).enumerate().filter(used);
        let pages = pages.map(|(number, page)| (number, page.to_vec())).collect();
        Self { length: bytes.len(), pages }
    }
}

impl Image {
    /// A disk in its first state; every page that holds anything counts as changed.
    #[must_use]
    pub fn new(pristine: &Pristine) -> Self {
        // Pages of zeros that are never written cost no memory.
        let mut bytes = vec![0; pristine.length];
        for (number, page) in &pristine.pages {
            bytes[number * PAGE..][..page.len()].copy_from_slice(page);
        }
        Self { bytes, touched: pristine.pages.iter().map(|(number, _)| *number).collect() }
    }

    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The page of this number; the last one may be short.
    #[must_use]
    pub fn page(&self, page: usize) -> &[u8] {
        let start = (page * PAGE).min(self.bytes.len());
        &self.bytes[start..(start + PAGE).min(self.bytes.len())]
    }

    /// The numbers of all pages changed since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.touched)
    }

    /// Applies what an entry of a log wrote in `range` of its data, and tells what was there.
    pub fn apply(&mut self, entry: &Entry, range: Range<usize>) -> Option<Undo> {
        let (at, zeros);
        let data = match entry {
            Entry::Mark(_) => return None,
            Entry::Write { at: start, data, .. } => {
                at = *start;
                data.get(range.clone())?
            }
            Entry::Discard { at: start, .. } => {
                at = *start;
                zeros = vec![0; range.len()];
                &zeros
            }
        };
        let at = usize::try_from(at).ok()?.checked_add(range.start)?;
        self.write(at, data)
    }

    /// Takes a write back. Several must be taken back in the opposite order.
    pub fn undo(&mut self, undo: &Undo) {
        self.write(undo.at, &undo.before);
    }

    fn write(&mut self, at: usize, data: &[u8]) -> Option<Undo> {
        let end = at.checked_add(data.len())?.min(self.bytes.len());
        let target = self.bytes.get_mut(at..end).filter(|target| !target.is_empty())?;
        let before = target.to_vec();
        target.copy_from_slice(&data[..before.len()]);
        self.touched.extend(at / PAGE..=(end - 1) / PAGE);
        Some(Undo { at, before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_applied_can_be_taken_back() {
        let mut image = Image::new(&Pristine::new(&[0; 3 * PAGE]));
        let write = |at, data: Vec<u8>| Entry::Write { at, data, flush: false, fua: false };
        let first = image.apply(&write(100, vec![1; PAGE]), 0..PAGE).unwrap();
        assert_eq!(image.take_touched(), [0, 1].into());
        let second = image.apply(&write(0, vec![2; PAGE]), 512..1024).unwrap();
        assert_eq!((image.bytes()[511], image.bytes()[512], image.bytes()[1024]), (1, 2, 1));
        let third = image.apply(&Entry::Discard { at: 0, length: 512 }, 0..512).unwrap();
        assert_eq!(image.bytes()[511], 0);
        for undo in [third, second, first] {
            image.undo(&undo);
        }
        assert!(image.bytes().iter().all(|&byte| byte == 0));
    }

    #[test]
    fn writes_beyond_the_end_are_ignored() {
        let mut image = Image::new(&Pristine::new(&[0; 1000]));
        let write = |at| Entry::Write { at, data: vec![1; 512], flush: false, fua: false };
        assert!(image.apply(&write(1024), 0..512).is_none());
        assert!(image.apply(&write(u64::MAX), 0..512).is_none());
        image.apply(&write(512), 0..512).unwrap();
        assert_eq!(image.page(0).len(), 1000);
        assert!(image.page(1).is_empty());
    }
}
