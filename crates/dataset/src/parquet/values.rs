//! Values as they are encoded.

use std::borrow::Cow;

use super::thrift::Bytes;
use super::{Fault, Physical, delta, encoding};

/// The values of a page or a dictionary, without those that are missing.
#[derive(Debug)]
pub(super) enum Raw<'a> {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    /// Texts: bytes, and where each begins and ends in them.
    Texts(Cow<'a, [u8]>, Vec<(usize, usize)>),
}

impl<'a> Raw<'a> {
    /// A text.
    pub(super) fn bytes(&self, index: usize) -> Option<&[u8]> {
        let Self::Texts(all, places) = self else { return None };
        let (start, end) = *places.get(index)?;
        all.get(start..end)
    }

    pub(super) fn into_owned(self) -> Raw<'static> {
        match self {
            Self::Ints(values) => Raw::Ints(values),
            Self::Floats(values) => Raw::Floats(values),
            Self::Texts(all, places) => Raw::Texts(Cow::Owned(all.into_owned()), places),
        }
    }

    /// Decodes `count` values.
    pub(super) fn decode(
        encoding: i64,
        physical: Physical,
        bytes: &'a [u8],
        count: usize,
        dictionary: Option<&Raw<'_>>,
    ) -> Result<Self, Fault> {
        let texts = |(all, ends): (Vec<u8>, Vec<usize>)| {
            let starts = std::iter::once(0).chain(ends.iter().copied());
            Self::Texts(Cow::Owned(all), starts.zip(ends.iter().copied()).collect())
        };
        let values = match (encoding, physical) {
            (encoding::PLAIN, _) => Self::plain(physical, bytes, count),
            (encoding::PLAIN_DICTIONARY | encoding::RLE_DICTIONARY, _) => {
                dictionary.and_then(|dictionary| dictionary.chosen(bytes, count))
            }
            (encoding::DELTA_BINARY_PACKED, Physical::Int32 | Physical::Int64) => {
                let numbers = delta::numbers(&mut Bytes(bytes), count);
                numbers.filter(|numbers| numbers.len() == count).map(|numbers| {
                    let narrow = physical == Physical::Int32;
                    let fold = |n: i64| if narrow { i64::from(n as i32) } else { n };
                    Self::Ints(numbers.into_iter().map(fold).collect())
                })
            }
            (encoding::DELTA_LENGTH_BYTE_ARRAY, Physical::Bytes) => {
                delta::texts(Bytes(bytes), count).map(texts)
            }
            (encoding::DELTA_BYTE_ARRAY, Physical::Bytes | Physical::Fixed(_)) => {
                delta::prefixed(Bytes(bytes), count).map(texts)
            }
            (encoding::BYTE_STREAM_SPLIT, _) => Self::split(physical, bytes, count),
            _ => return Err(Fault::unread(format_args!("encoding {encoding} of {physical:?}"))),
        };
        values.ok_or_else(|| Fault::torn("data"))
    }

    /// Values one behind the other.
    pub(super) fn plain(physical: Physical, bytes: &'a [u8], count: usize) -> Option<Self> {
        fn each<const N: usize, T>(
            bytes: &[u8],
            count: usize,
            make: impl Fn([u8; N]) -> Option<T>,
        ) -> Option<Vec<T>> {
            let bytes = bytes.get(..count.checked_mul(N)?)?;
            let (items, _) = bytes.as_chunks::<N>();
            items.iter().map(|item| make(*item)).collect()
        }
        Some(match physical {
            Physical::Boolean => return None,
            Physical::Int32 => {
                Self::Ints(each(bytes, count, |b| Some(i64::from(i32::from_le_bytes(b))))?)
            }
            Physical::Int64 => Self::Ints(each(bytes, count, |b| Some(i64::from_le_bytes(b)))?),
            Physical::Int96 => Self::Ints(each(bytes, count, julian)?),
            Physical::Float => {
                Self::Floats(each(bytes, count, |b| Some(f64::from(f32::from_le_bytes(b))))?)
            }
            Physical::Double => Self::Floats(each(bytes, count, |b| Some(f64::from_le_bytes(b)))?),
            Physical::Fixed(length) => {
                let end = count.checked_mul(length)?;
                let places = (0..count).map(|index| (index * length, (index + 1) * length));
                Self::Texts(Cow::Borrowed(bytes.get(..end)?), places.collect())
            }
            Physical::Bytes => {
                let (mut rest, mut places) = (Bytes(bytes), Vec::with_capacity(count.min(1 << 16)));
                for _ in 0..count {
                    let length = rest.u32()? as usize;
                    let start = bytes.len() - rest.0.len();
                    places.push((start, start + rest.take(length)?.len()));
                }
                Self::Texts(Cow::Borrowed(bytes), places)
            }
        })
    }

    /// Values of which first all lowest bytes are written, then all second ones, and so on.
    fn split(physical: Physical, bytes: &[u8], count: usize) -> Option<Self> {
        let width = match physical {
            Physical::Int32 | Physical::Float => 4,
            Physical::Int64 | Physical::Double => 8,
            Physical::Fixed(width) => width,
            _ => return None,
        };
        let bytes = bytes.get(..count.checked_mul(width)?)?;
        let mut joined = vec![0; bytes.len()];
        for (index, byte) in bytes.iter().enumerate() {
            joined[index % count * width + index / count] = *byte;
        }
        Raw::plain(physical, &joined, count).map(Raw::into_owned)
    }

    /// The values that these bytes choose from the dictionary.
    fn chosen(&self, bytes: &[u8], count: usize) -> Option<Raw<'static>> {
        let Some((width, bytes)) = bytes.split_first() else {
            // Where all values are missing, there may be nothing at all.
            return (count == 0).then(|| Raw::Ints(Vec::new()));
        };
        let chosen = hybrid(bytes, u32::from(*width), count)?;
        let mut chosen = chosen.into_iter().map(|index| index as usize);
        Some(match self {
            Self::Ints(all) => {
                Raw::Ints(chosen.map(|i| all.get(i).copied()).collect::<Option<_>>()?)
            }
            Self::Floats(all) => {
                Raw::Floats(chosen.map(|i| all.get(i).copied()).collect::<Option<_>>()?)
            }
            Self::Texts(all, places) => {
                let places = chosen.try_fold(Vec::with_capacity(count), |mut places_of, index| {
                    places_of.push(*places.get(index)?);
                    Some(places_of)
                });
                Raw::Texts(Cow::Owned(all.to_vec()), places?)
            }
        })
    }
}

/// The Julian day of 1970-01-01.
const EPOCH: i64 = 2_440_588;

/// Microseconds since 1970 of nanoseconds and a Julian day.
fn julian(bytes: [u8; 12]) -> Option<i64> {
    let (nanos, day) = bytes.split_first_chunk::<8>()?;
    let day = i64::from(i32::from_le_bytes(day.try_into().ok()?)) - EPOCH;
    Some(day * 86_400_000_000 + i64::from_le_bytes(*nanos) / 1000)
}

/// Numbers of up to 32 bits: runs of equal ones in turns with packed ones.
pub(super) fn hybrid(bytes: &[u8], width: u32, count: usize) -> Option<Vec<u32>> {
    if width > 32 {
        return None;
    }
    let mut rest = Bytes(bytes);
    let mut numbers = Vec::with_capacity(count.min(1 << 16));
    while numbers.len() < count {
        let head = rest.varint()?;
        let left = count - numbers.len();
        let length = usize::try_from(head >> 1).ok()?;
        if head & 1 == 1 {
            // The last group may be cut short.
            let packed = length.checked_mul(width as usize)?.min(rest.0.len());
            let packed = rest.take(packed)?;
            let wanted = length.checked_mul(8)?.min(left);
            numbers.extend(unpack_bits(packed, width, wanted)?.map(|number| number as u32));
        } else {
            let bytes = rest.take(width.div_ceil(8) as usize)?;
            let number = bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
            numbers.extend(std::iter::repeat_n(number, length.min(left)));
        }
    }
    Some(numbers)
}

/// Numbers of `width` bits each, the lowest first; none if there are fewer than `count`.
pub(super) fn unpack_bits(
    bytes: &[u8],
    width: u32,
    count: usize,
) -> Option<impl Iterator<Item = u64>> {
    let whole = width <= 64 && count.checked_mul(width as usize)?.div_ceil(8) <= bytes.len();
    let (mut bits, mut held, mut next) = (0_u128, 0, bytes.iter());
    let mask = (1_u128 << width.min(64)) - 1;
    whole.then(|| {
        (0..count).map(move |_| {
            while held < width {
                bits |= u128::from(next.next().copied().unwrap_or(0)) << held;
                held += 8;
            }
            let number = (bits & mask) as u64;
            bits >>= width;
            held -= width;
            number
        })
    })
}
