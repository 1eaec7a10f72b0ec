//! A state as bytes: a header, the parts' plain data in postcard's format, and the media behind it.

use std::{cmp::Reverse, io, io::Read, iter};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{
    blobs::Blobs,
    error::StateError,
    version::{STATE_MAX_BYTES, VERSION},
};

const MAGIC: [u8; 8] = *b"synctvup";
const CHECKSUM_BYTES: usize = 8;

/// Magic, version, the length of the data, its checksum.
pub(super) const HEADER_BYTES: usize = MAGIC.len() + size_of::<u32>() + size_of::<u64>() + CHECKSUM_BYTES;

/// A state that is ready to be written. The media is not copied for it.
#[derive(Debug)]
pub struct StateFile {
    head: Vec<u8>,
    regions: Vec<Bytes>,
}

/// The places of the blobs in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct BlobIndex {
    /// The lengths of the regions that follow the data.
    regions_bytes: Vec<u32>,
    /// Each blob, by its place in the table.
    blobs: Vec<BlobPlace>,
}

/// A part of a region: a viewer's queue may have the rest of a batch that the GOP cache has whole.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct BlobPlace {
    region: u32,
    offset_bytes: u32,
    len_bytes: u32,
}

impl StateFile {
    /// Encodes a state with the media that it refers to. The checksum is that of the data alone: to read all media for it would
    /// take longer than the rest of the upgrade.
    pub fn encode<T: Serialize>(state: &T, blobs: &Blobs) -> Result<Self, StateError> {
        let (index, regions) = BlobIndex::of(blobs)?;
        let data = postcard::to_stdvec(&(index, state))?;
        let file = Self { head: [&header(&data)[..], &data].concat(), regions };
        if file.size_bytes() > STATE_MAX_BYTES {
            return Err(StateError::TooLarge(file.size_bytes()));
        }
        Ok(file)
    }

    /// The bytes of the file, in order.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        iter::once(&self.head[..]).chain(self.regions.iter().map(|region| &region[..]))
    }

    /// The length of the file.
    pub fn size_bytes(&self) -> u64 {
        self.parts().map(|part| part.len() as u64).sum()
    }
}

/// Reads a state from a file of `size_bytes`, which bounds the memory that is allocated for it.
pub fn decode<T: DeserializeOwned>(mut input: impl Read, size_bytes: u64) -> Result<(T, Blobs), StateError> {
    if size_bytes > STATE_MAX_BYTES {
        return Err(StateError::TooLarge(size_bytes));
    }
    let mut left_bytes = size_bytes;
    let head = read(&mut input, HEADER_BYTES as u64, &mut left_bytes)?;
    let data_bytes = data_bytes(&head)?;
    let data = read(&mut input, data_bytes, &mut left_bytes)?;
    if header(&data) != head {
        return Err(StateError::Damaged);
    }
    let (index, state): (BlobIndex, T) = postcard::from_bytes(&data)?;
    let regions = index
        .regions_bytes
        .iter()
        .map(|len_bytes| read(&mut input, u64::from(*len_bytes), &mut left_bytes).map(Bytes::from));
    let regions = regions.collect::<Result<Vec<_>, _>>()?;
    let blobs = index.blobs.iter().map(|place| place.slice(&regions)).collect::<Result<_, _>>()?;
    Ok((state, Blobs::of_regions(blobs)))
}

/// Reads exactly so many bytes, of which there are `left_bytes`.
fn read(input: &mut impl Read, len_bytes: u64, left_bytes: &mut u64) -> Result<Vec<u8>, StateError> {
    *left_bytes = left_bytes.checked_sub(len_bytes).ok_or(StateError::Truncated)?;
    let mut bytes = vec![0; usize::try_from(len_bytes).map_err(|_| StateError::TooLarge(len_bytes))?];
    input.read_exact(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => StateError::Truncated,
        kind => StateError::Read(kind),
    })?;
    Ok(bytes)
}

/// The header of this data.
pub(super) fn header(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let checksum = Sha256::digest(data);
    [&MAGIC[..], &VERSION.to_le_bytes(), &length, &checksum[..CHECKSUM_BYTES]].concat()
}

/// Reads a header up to its checksum.
pub(super) fn data_bytes(head: &[u8]) -> Result<u64, StateError> {
    let rest = head.strip_prefix(&MAGIC).ok_or(StateError::NotAState)?;
    let (version, rest) = rest.split_first_chunk().ok_or(StateError::Truncated)?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(StateError::Version(version));
    }
    let length = rest.first_chunk().ok_or(StateError::Truncated)?;
    Ok(u64::from_le_bytes(*length))
}

impl BlobIndex {
    /// The index of a table, and the regions to write. A blob that is part of another one's memory is not written.
    fn of(blobs: &Blobs) -> Result<(Self, Vec<Bytes>), StateError> {
        let mut order: Vec<(usize, &Bytes)> = blobs.regions().iter().enumerate().collect();
        order.sort_by_key(|(_, blob)| (blob.as_ptr() as usize, Reverse(blob.len())));
        let mut index = Self { blobs: vec![BlobPlace::default(); order.len()], ..Self::default() };
        let mut regions: Vec<Bytes> = Vec::new();
        for (at, blob) in order {
            let within = regions.last().and_then(|region| offset_in(region, blob));
            if within.is_none() {
                index.regions_bytes.push(length(blob)?);
                regions.push(blob.clone());
            }
            let (offset_bytes, len_bytes) = (within.unwrap_or(0), length(blob)?);
            let region = u32::try_from(regions.len() - 1).map_err(|_| StateError::TooLarge(u64::MAX))?;
            if let Some(place) = index.blobs.get_mut(at) {
                *place = BlobPlace { region, offset_bytes, len_bytes };
            }
        }
        Ok((index, regions))
    }
}

fn length(blob: &Bytes) -> Result<u32, StateError> {
    u32::try_from(blob.len()).map_err(|_| StateError::TooLarge(blob.len() as u64))
}

/// The offset of `part` in `region`, if it is part of its memory.
fn offset_in(region: &Bytes, part: &Bytes) -> Option<u32> {
    let offset_bytes = (part.as_ptr() as usize).checked_sub(region.as_ptr() as usize)?;
    let is_within = offset_bytes.checked_add(part.len())? <= region.len();
    is_within.then(|| u32::try_from(offset_bytes).ok()).flatten()
}

impl BlobPlace {
    fn slice(self, regions: &[Bytes]) -> Result<Bytes, StateError> {
        let region = usize::try_from(self.region).ok().and_then(|at| regions.get(at));
        let region = region.ok_or(StateError::NoBlob(self.region))?;
        let end = u64::from(self.offset_bytes) + u64::from(self.len_bytes);
        StateError::unless(end <= region.len() as u64, "a blob", "it is not within its region")?;
        Ok(region.slice(self.offset_bytes as usize..end as usize))
    }
}

#[cfg(test)]
mod tests;
