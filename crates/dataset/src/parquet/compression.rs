//! The content of pages, unpacked.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::{Fault, codec};

/// No page is larger: writers make them of a megabyte or so.
pub(super) const LARGEST: usize = 1 << 30;

/// What a page holds: `size` bytes, if the file is whole.
pub(super) fn unpack(codec: i64, content: &[u8], size: usize) -> Result<Cow<'_, [u8]>, Fault> {
    let torn = || Fault::torn("data");
    if size > LARGEST {
        return Err(torn());
    }
    let unpacked = match codec {
        codec::NONE => Cow::Borrowed(content),
        codec::SNAPPY => {
            // It says itself how large it is, and is believed only if the file agrees.
            if snap::raw::decompress_len(content).ok() != Some(size) {
                return Err(torn());
            }
            Cow::Owned(snap::raw::Decoder::new().decompress_vec(content).map_err(|_| torn())?)
        }
        codec::GZIP => Cow::Owned(all(MultiGzDecoder::new(content), size)?),
        codec::ZSTD => Cow::Owned(all(StreamingDecoder::new(content).map_err(|_| torn())?, size)?),
        other => {
            let names = [(3, "LZO"), (4, "Brotli"), (5, "LZ4"), (7, "LZ4")];
            let name = names.iter().find(|(number, _)| *number == other);
            let name = name.map_or("its", |(_, name)| name);
            return Err(Fault(format!(
                "{name} compression is not read here; write it with snappy, gzip or zstd"
            )));
        }
    };
    if unpacked.len() == size { Ok(unpacked) } else { Err(torn()) }
}

fn all(reader: impl Read, size: usize) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    reader.take(size as u64 + 1).read_to_end(&mut out).map_err(|_| Fault::torn("data"))?;
    Ok(out)
}
