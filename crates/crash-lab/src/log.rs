//! The log that dm-log-writes keeps.
//!
//! A superblock, then one entry after another, all in units of the logged device's sector: a
//! header of four little-endian numbers padded to a sector, then the data. A mark's text stands
//! behind the numbers, in the header's own sector.

use crate::LabError;

const MAGIC: u64 = 0x6a_7366_7773_6872;
const VERSION: u64 = 1;
const HEADER: usize = 32;

const FLUSH: u64 = 1;
const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;
const MARK: u64 = 1 << 3;

/// Something that happened to the logged device, or a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Data was written, or the cache was flushed, or both: the flush then came first.
    Write {
        /// The offset on the device, in bytes.
        at: u64,
        /// The data; empty for a mere flush.
        data: Vec<u8>,
        /// Whether everything that had completed before is durable.
        flush: bool,
        /// Whether the data itself is durable.
        fua: bool,
    },
    /// A range was discarded: it reads as zeros.
    Discard {
        /// The offset on the device, in bytes.
        at: u64,
        /// The number of bytes.
        length: u64,
    },
    /// A text that was put into the log.
    Mark(String),
}

impl Entry {
    /// Whether this changes what the disk holds.
    #[must_use]
    pub fn changes(&self) -> bool {
        match self {
            Self::Write { data, .. } => !data.is_empty(),
            Self::Discard { .. } => true,
            Self::Mark(_) => false,
        }
    }

    /// Whether everything before this in the log is durable when this is.
    #[must_use]
    pub fn is_flush(&self) -> bool {
        matches!(self, Self::Write { flush: true, .. })
    }
}

/// Reads all entries of a log.
///
/// # Errors
/// [`LabError::Log`] when it is not one, or is cut off.
pub fn parse(log: &[u8]) -> Result<Vec<Entry>, LabError> {
    let mut reader = Reader { log, at: 0 };
    let bad = |at, reason| Err(LabError::Log { at, reason });
    if reader.number()? != MAGIC {
        return bad(0, "no superblock");
    }
    if reader.number()? != VERSION {
        return bad(8, "unknown version");
    }
    let count = reader.number()?;
    let sector = u64::from(u32::try_from(reader.number()? & 0xffff_ffff).unwrap_or_default());
    if !(512..=4096).contains(&sector) || !sector.is_power_of_two() {
        return bad(24, "impossible sector size");
    }
    let sector = usize::try_from(sector).unwrap_or(512);
    reader.at = sector;
    (0..count).map(|_| reader.entry(sector)).collect()
}

struct Reader<'a> {
    log: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: u64) -> Result<&'a [u8], LabError> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let bytes = end.and_then(|end| self.log.get(self.at..end));
        let bytes = bytes.ok_or(LabError::Log { at: self.at, reason: "it ends too early" })?;
        self.at += bytes.len();
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, LabError> {
        let at = self.at;
        let bytes = self.bytes(8)?.try_into();
        bytes.map(u64::from_le_bytes).map_err(|_| LabError::Log { at, reason: "no number" })
    }

    fn entry(&mut self, sector: usize) -> Result<Entry, LabError> {
        let start = self.at;
        let too_long = LabError::Log { at: start, reason: "an impossible range" };
        let [first, sectors, flags, text] =
            [self.number()?, self.number()?, self.number()?, self.number()?];
        let unit = sector as u64;
        let (Some(at), Some(length)) = (first.checked_mul(unit), sectors.checked_mul(unit)) else {
            return Err(too_long);
        };
        if flags & MARK != 0 {
            if text > unit - HEADER as u64 {
                return Err(too_long);
            }
            let text = self.bytes(text)?;
            self.at = start + sector;
            return Ok(Entry::Mark(String::from_utf8_lossy(text).into_owned()));
        }
        self.at = start + sector;
        if flags & DISCARD != 0 {
            return Ok(Entry::Discard { at, length });
        }
        let data = self.bytes(length)?.to_vec();
        Ok(Entry::Write { at, data, flush: flags & FLUSH != 0, fua: flags & FUA != 0 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What dm-log-writes would have written.
    fn encode(entries: &[Entry], sector: usize) -> Vec<u8> {
        let mut log = Vec::new();
        for number in [MAGIC, VERSION, entries.len() as u64, sector as u64] {
            log.extend(number.to_le_bytes());
        }
        log.resize(sector, 0);
        let unit = sector as u64;
        for entry in entries {
            let start = log.len();
            let (numbers, tail): ([u64; 4], &[u8]) = match entry {
                Entry::Write { at, data, flush, fua } => {
                    let flags = u64::from(*flush) * FLUSH + u64::from(*fua) * FUA;
                    ([at / unit, data.len() as u64 / unit, flags, 0], data)
                }
                Entry::Discard { at, length } => ([at / unit, length / unit, DISCARD, 0], &[]),
                Entry::Mark(text) => ([0, 0, MARK, text.len() as u64], text.as_bytes()),
            };
            numbers.iter().for_each(|number| log.extend(number.to_le_bytes()));
            if let Entry::Write { .. } = entry {
                log.resize(start + sector, 0);
            }
            log.extend(tail);
            log.resize(log.len().next_multiple_of(sector), 0);
        }
        log
    }

    fn entries(sector: usize) -> impl Strategy<Value = Vec<Entry>> {
        let unit = sector as u64;
        let write = (0..1000_u64, 0..4_usize, any::<u8>(), any::<(bool, bool)>()).prop_map(
            move |(at, sectors, fill, (flush, fua))| Entry::Write {
                at: at * unit,
                data: vec![fill; sectors * sector],
                flush,
                fua,
            },
        );
        let discard = (0..1000_u64, 1..9_u64).prop_map(move |(at, sectors)| Entry::Discard {
            at: at * unit,
            length: sectors * unit,
        });
        let entry = prop_oneof![write, discard, "[a-z:0-9]{0,40}".prop_map(Entry::Mark)];
        proptest::collection::vec(entry, 0..20)
    }

    proptest! {
        #[test]
        fn what_was_logged_is_read_back(small in entries(512), large in entries(4096)) {
            prop_assert_eq!(parse(&encode(&small, 512)).unwrap(), small);
            prop_assert_eq!(parse(&encode(&large, 4096)).unwrap(), large);
        }

        #[test]
        fn a_cut_or_changed_log_is_no_panic(
            entries in entries(512), cut in 0..9000_usize, at in 0..9000_usize, byte in any::<u8>()
        ) {
            let mut log = encode(&entries, 512);
            let at = at % log.len();
            log[at] = byte;
            log.truncate(cut);
            let _ = parse(&log);
        }
    }

    #[test]
    fn a_cut_log_is_an_error() {
        let entries =
            [Entry::Write { at: 512, data: vec![7; 1024], flush: true, fua: true }].to_vec();
        let log = encode(&entries, 512);
        assert_eq!(log.len(), 512 * 4);
        assert_eq!(parse(&log).unwrap(), entries);
        assert!(parse(&log[..2047]).is_err());
        assert!(parse(&log[..511]).is_err());
        assert!(parse(&[]).is_err());
    }
}
