//! States that were written and read again, and moments to count from, for tests.

use std::time::Instant;

#[cfg(test)]
use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(test)]
use super::file::{HEADER_BYTES, StateFile, data_bytes};
use super::{
    blobs::Blobs,
    error::StateError,
    file::{decode, header},
};

/// The bytes of a state.
#[cfg(test)]
pub(crate) fn written<T: Serialize>(state: &T, blobs: &Blobs) -> Vec<u8> {
    StateFile::encode(state, blobs).unwrap().parts().collect::<Vec<_>>().concat()
}

/// The data and the media of a state that was written.
#[cfg(test)]
pub(crate) fn split(file: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (head, rest) = file.split_at(HEADER_BYTES);
    let (data, media) = rest.split_at(usize::try_from(data_bytes(head).unwrap()).unwrap());
    (data.to_vec(), media.to_vec())
}

/// Returns a state and its media as the next process reads them.
#[cfg(test)]
pub(crate) fn read_again<T: Serialize + DeserializeOwned>(state: &T, blobs: &Blobs) -> (T, Blobs) {
    let bytes = written(state, blobs);
    decode(&bytes[..], bytes.len() as u64).unwrap()
}

/// Reads a state whose header is right, whatever is in it: its data, and the media behind it.
pub(crate) fn read_headed<T: DeserializeOwned>(data: &[u8], media: &[u8]) -> Result<(T, Blobs), StateError> {
    let file = [&header(data)[..], data, media].concat();
    decode(&file[..], file.len() as u64)
}

/// A moment to count from.
#[allow(clippy::disallowed_methods, reason = "an instant to count from")]
pub(crate) fn moment() -> Instant {
    Instant::now()
}
