//! Files that are compressed: recognised by how they begin, whatever their name.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use crate::DataError;

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// The largest content that is unpacked, in bytes: what goes beyond is no file of daily prices.
const LARGEST: u64 = 2 << 30;

/// The content of a file, unpacked if it is compressed with gzip or zstd.
///
/// # Errors
/// [`DataError::Packed`] when it cannot be unpacked, or would take more than 2 GiB.
pub(super) fn unpack<'a>(path: &Path, content: &'a [u8]) -> Result<Cow<'a, [u8]>, DataError> {
    let result = if content.starts_with(GZIP) {
        all(MultiGzDecoder::new(content), content.len()).map_err(|source| ("gzip", source))
    } else if content.starts_with(ZSTD) {
        zstd(content).map_err(|source| ("zstd", source))
    } else {
        return Ok(Cow::Borrowed(content));
    };
    let packed = |(format, source)| DataError::Packed { path: path.to_owned(), format, source };
    result.map(Cow::Owned).map_err(packed)
}

/// Every frame of a zstd file, one after the other.
fn zstd(mut content: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    while !content.is_empty() {
        let decoder = StreamingDecoder::new(&mut content).map_err(io::Error::other)?;
        out.append(&mut all(decoder, 0)?);
        if out.len() as u64 > LARGEST {
            return Err(too_large());
        }
    }
    Ok(out)
}

fn all(reader: impl Read, packed: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(packed.saturating_mul(4).min(64 << 20));
    reader.take(LARGEST + 1).read_to_end(&mut out)?;
    if out.len() as u64 > LARGEST { Err(too_large()) } else { Ok(out) }
}

fn too_large() -> io::Error {
    io::Error::other("it holds more than 2 GiB")
}
