//! Numbers as differences: `DELTA_BINARY_PACKED`, and the texts whose lengths are written so.

use super::thrift::Bytes;
use super::values::unpack_bits;

/// More values than these in a block are nobody's.
const LARGEST_BLOCK: u64 = 1 << 20;

/// Numbers, each of which but the first is the one before and a difference. Differences come in blocks,
/// and each has taken from it the smallest of its block; what remains is packed into as many bits as the
/// largest of a part of the block needs. `limit` is how many numbers there may be.
pub(super) fn numbers(bytes: &mut Bytes<'_>, limit: usize) -> Option<Vec<i64>> {
    let block = bytes.varint()?;
    let parts = bytes.varint()?;
    let count = usize::try_from(bytes.varint()?).ok().filter(|count| *count <= limit)?;
    let mut last = bytes.zigzag()?;
    if parts == 0 || block > LARGEST_BLOCK || parts > block || block % parts != 0 {
        return None;
    }
    let per_part = usize::try_from(block / parts).ok().filter(|n| n.is_multiple_of(8))?;
    let mut numbers = Vec::with_capacity(count.min(1 << 16));
    if count > 0 {
        numbers.push(last);
    }
    while numbers.len() < count {
        let smallest = bytes.zigzag()?;
        let widths = bytes.take(usize::try_from(parts).ok()?)?;
        for width in widths {
            // Parts behind the last number have a width, and no bytes.
            if numbers.len() == count {
                break;
            }
            let packed = bytes.take(per_part / 8 * usize::from(*width))?;
            let wanted = per_part.min(count - numbers.len());
            for difference in unpack_bits(packed, u32::from(*width), wanted)? {
                last = last.wrapping_add(smallest).wrapping_add(difference as i64);
                numbers.push(last);
            }
        }
    }
    Some(numbers)
}

/// Texts: their lengths, and then all of them one behind the other. Gives these, and where each ends.
pub(super) fn texts(mut bytes: Bytes<'_>, count: usize) -> Option<(Vec<u8>, Vec<usize>)> {
    let lengths = numbers(&mut bytes, count).filter(|lengths| lengths.len() == count)?;
    let mut ends = Vec::with_capacity(count);
    let mut end = 0_usize;
    for length in lengths {
        end = end.checked_add(usize::try_from(length).ok()?)?;
        ends.push(end);
    }
    Some((bytes.take(end)?.to_vec(), ends))
}

/// Texts that begin as the one before: how much of it they share, and what is different.
pub(super) fn prefixed(mut bytes: Bytes<'_>, count: usize) -> Option<(Vec<u8>, Vec<usize>)> {
    let shared = numbers(&mut bytes, count).filter(|shared| shared.len() == count)?;
    let (rests, rest_ends) = texts(bytes, count)?;
    let (mut all, mut ends): (Vec<u8>, Vec<usize>) = (Vec::new(), Vec::with_capacity(count));
    let (mut last, mut from) = (0..0, 0);
    for (shared, to) in shared.into_iter().zip(rest_ends) {
        let shared = usize::try_from(shared).ok().filter(|shared| *shared <= last.len())?;
        let start = all.len();
        all.extend_from_within(last.start..last.start + shared);
        all.extend_from_slice(rests.get(from..to)?);
        (last, from) = (start..all.len(), to);
        // What shares all of what is long grows fast.
        if all.len() > super::compression::LARGEST {
            return None;
        }
        ends.push(all.len());
    }
    Some((all, ends))
}
