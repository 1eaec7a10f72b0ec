//! A state that is read again is the same, and a damaged one is refused.

use proptest::prelude::*;

use super::*;
use crate::upgrade::BlobId;

/// A state as parts have it: numbers, texts, references to media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    name: String,
    epoch: u64,
    last_ms: Option<i64>,
    media: Vec<BlobId>,
}

fn sample(media: Vec<BlobId>) -> Sample {
    Sample { name: "room".to_owned(), epoch: u64::MAX, last_ms: Some(-1), media }
}

fn bytes_of(file: &StateFile) -> Vec<u8> {
    file.parts().collect::<Vec<_>>().concat()
}

fn read_again(bytes: &[u8]) -> Result<(Sample, Blobs), StateError> {
    decode(bytes, bytes.len() as u64)
}

fn encoded(blobs: &Blobs, media: Vec<BlobId>) -> Vec<u8> {
    let file = StateFile::encode(&sample(media), blobs).unwrap();
    let bytes = bytes_of(&file);
    assert_eq!(bytes.len() as u64, file.size_bytes());
    bytes
}

#[test]
fn media_shares_its_memory_again() {
    let batch = Bytes::from((0..=255).collect::<Vec<u8>>());
    let mut blobs = Blobs::default();
    let rest = blobs.put(&batch.slice(200..));
    let whole = blobs.put(&batch);
    let none = blobs.put(&Bytes::new());
    let other = blobs.put(&Bytes::from(batch.to_vec()));
    let bytes = encoded(&blobs, vec![whole, rest, none, other]);
    assert!((512..700).contains(&bytes.len()), "each region once: {}", bytes.len());
    let (state, read) = read_again(&bytes).unwrap();
    assert_eq!(state, sample(vec![whole, rest, none, other]));
    let [whole, rest, none, other] = [0, 1, 2, 3].map(|at| read.get(state.media[at]).unwrap());
    assert_eq!((&whole, &rest, none.len(), &other), (&batch, &batch.slice(200..), 0, &batch));
    assert_eq!(rest.as_ptr(), whole[200..].as_ptr());
    assert_ne!(other.as_ptr(), whole.as_ptr());
}

#[test]
fn another_version_is_refused() {
    let mut bytes = encoded(&Blobs::default(), Vec::new());
    bytes[MAGIC.len()] += 1;
    assert_eq!(read_again(&bytes).unwrap_err(), StateError::Version(VERSION + 1));
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    assert_eq!(read_again(&[0; 100]).unwrap_err(), StateError::NotAState);
    assert_eq!(read_again(b"").unwrap_err(), StateError::Truncated);
    let state = StateFile::encode(&(), &Blobs::default()).unwrap();
    assert!(matches!(read_again(&bytes_of(&state)), Err(StateError::Format(_))));
}

#[test]
fn a_state_is_refused_that_ends_anywhere_before_its_end() {
    let mut blobs = Blobs::default();
    let id = blobs.put(&Bytes::from_static(b"media"));
    let bytes = encoded(&blobs, vec![id]);
    for end in 0..bytes.len() {
        assert_eq!(read_again(&bytes[..end]).unwrap_err(), StateError::Truncated, "{end}");
        let of_longer_file = decode::<Sample>(&bytes[..end], bytes.len() as u64);
        assert_eq!(of_longer_file.unwrap_err(), StateError::Truncated, "{end}");
    }
}

#[test]
fn no_memory_is_allocated_for_lengths_that_the_file_has_not() {
    let mut bytes = encoded(&Blobs::default(), Vec::new());
    bytes[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(read_again(&bytes).unwrap_err(), StateError::Truncated);
    let index = BlobIndex { regions_bytes: vec![u32::MAX; 1000], blobs: Vec::new() };
    let data = postcard::to_stdvec(&(index, sample(Vec::new()))).unwrap();
    let bytes = [&header(&data)[..], &data].concat();
    assert_eq!(read_again(&bytes).unwrap_err(), StateError::Truncated);
    let size_bytes = STATE_MAX_BYTES + 1;
    assert_eq!(decode::<Sample>(&bytes[..], size_bytes).unwrap_err(), StateError::TooLarge(size_bytes));
}

#[test]
fn a_blob_outside_of_its_region_is_refused() {
    for place in [
        BlobPlace { region: 1, ..BlobPlace::default() },
        BlobPlace { offset_bytes: 3, len_bytes: 3, ..BlobPlace::default() },
        BlobPlace { offset_bytes: u32::MAX, len_bytes: u32::MAX, ..BlobPlace::default() },
    ] {
        assert!(place.slice(&[Bytes::from_static(b"media")]).is_err(), "{place:?}");
    }
}

proptest! {
    #[test]
    fn a_state_with_a_damaged_byte_is_refused(at: prop::sample::Index, damage in 1_u8..) {
        let mut bytes = encoded(&Blobs::default(), Vec::new());
        let at = at.index(bytes.len());
        bytes[at] ^= damage;
        prop_assert!(read_again(&bytes).is_err());
    }

    #[test]
    fn any_slices_of_any_regions_are_read_again(
        lengths in prop::collection::vec(0_usize..300, 1..8),
        slices in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..300, 0_usize..300), 0..20),
    ) {
        let regions: Vec<Bytes> = lengths.iter().enumerate().map(|(at, length)| vec![at as u8; *length].into()).collect();
        let mut blobs = Blobs::default();
        let wanted: Vec<(BlobId, Bytes)> = slices.iter().map(|(region, from, to)| {
            let region = region.get(&regions);
            let (from, to) = (*from.min(to), *from.max(to));
            let slice = region.slice(from.min(region.len())..to.min(region.len()));
            (blobs.put(&slice), slice)
        }).collect();
        let bytes = encoded(&blobs, wanted.iter().map(|(id, _)| *id).collect());
        let (_, read) = read_again(&bytes).unwrap();
        for (id, slice) in wanted {
            prop_assert_eq!(read.get(id).unwrap(), slice);
        }
    }
}
