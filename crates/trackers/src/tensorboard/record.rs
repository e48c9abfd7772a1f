//! The framing of TensorBoard's files, TFRecord: the length as eight bytes, its checksum, the content,
//! its checksum; all numbers little-endian.

use crc::{CRC_32_ISCSI, Crc, Table};

/// CRC-32C (Castagnoli).
const CASTAGNOLI: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// A checksum as the format stores it: rotated and shifted, so that the checksum of a record that
/// itself holds checksums stays a good one.
pub(super) fn masked_crc(bytes: &[u8]) -> u32 {
    const SHIFT: u32 = 0xa282_ead8;
    CASTAGNOLI.checksum(bytes).rotate_right(15).wrapping_add(SHIFT)
}

/// One record around some content.
pub(super) fn frame(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(content.len() + 16);
    record.extend_from_slice(&length);
    record.extend_from_slice(&masked_crc(&length).to_le_bytes());
    record.extend_from_slice(content);
    record.extend_from_slice(&masked_crc(content).to_le_bytes());
    record
}
