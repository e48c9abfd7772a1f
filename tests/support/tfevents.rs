//! A reader of TensorBoard's event files that takes nothing on trust.

use std::path::Path;

/// The masked CRC-32C of the format, bit by bit.
fn masked_crc(bytes: &[u8]) -> u32 {
    const REVERSED: u32 = 0x82f6_3b78;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ REVERSED } else { crc >> 1 };
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The contents of all records; fails on whatever is not one, whole.
pub(crate) fn records(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    fn take<'a>(bytes: &mut &'a [u8], length: usize, what: &str) -> Result<&'a [u8], String> {
        let (taken, rest) = bytes.split_at_checked(length).ok_or(format!("{what} is cut off"))?;
        *bytes = rest;
        Ok(taken)
    }
    fn checked(bytes: &mut &[u8], content: &[u8], what: &str) -> Result<(), String> {
        let crc = take(bytes, 4, what)?.try_into().map(u32::from_le_bytes);
        let right = crc.is_ok_and(|crc| crc == masked_crc(content));
        if right { Ok(()) } else { Err(format!("the checksum of {what} is wrong")) }
    }
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let length = take(&mut bytes, 8, "a length")?;
        checked(&mut bytes, length, "a length")?;
        let length = length.try_into().map(u64::from_le_bytes).unwrap();
        let content = take(&mut bytes, usize::try_from(length).unwrap(), "a record")?;
        checked(&mut bytes, content, "a record")?;
        records.push(content.to_vec());
    }
    Ok(records)
}

/// The fields of a message: number, and what stands there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    Integer(u64),
    Double(f64),
    Float(f32),
    Bytes(Vec<u8>),
}

pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (first, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return value;
            }
            shift += 7;
        }
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let mut take = |length: usize| {
            let (taken, rest) = bytes.split_at(length);
            bytes = rest;
            taken
        };
        let field = match key & 7 {
            1 => Field::Double(f64::from_le_bytes(take(8).try_into().unwrap())),
            5 => Field::Float(f32::from_le_bytes(take(4).try_into().unwrap())),
            0 => Field::Integer(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (taken, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(taken.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

pub(crate) fn bytes_of(fields: &[(u64, Field)], number: u64) -> Vec<Vec<u8>> {
    let found = fields.iter().filter(|(field, _)| *field == number);
    let bytes = found.map(|(_, field)| match field {
        Field::Bytes(bytes) => bytes.clone(),
        other => panic!("{other:?}"),
    });
    bytes.collect()
}

/// Step, tag and number of every scalar in a file, and step, tag and text of every text.
pub(crate) type Found = (Vec<(u64, String, f32)>, Vec<(u64, String, String)>);

pub(crate) fn found(path: &Path) -> Found {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (mut scalars, mut texts) = (Vec::new(), Vec::new());
    for record in records(&std::fs::read(path).unwrap()).unwrap() {
        let event = fields(&record);
        let step = event.iter().find_map(|(number, field)| match field {
            Field::Integer(step) if *number == 2 => Some(*step),
            _ => None,
        });
        let step = step.unwrap_or(0);
        for value in bytes_of(&event, 5).iter().flat_map(|summary| bytes_of(&fields(summary), 1)) {
            let value = fields(&value);
            let tag = text(bytes_of(&value, 1).remove(0));
            match value.iter().find(|(number, _)| *number == 2) {
                Some((_, Field::Float(number))) => scalars.push((step, tag, *number)),
                None => {
                    let tensor = fields(&bytes_of(&value, 8).remove(0));
                    texts.push((step, tag, text(bytes_of(&tensor, 8).remove(0))));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    (scalars, texts)
}
