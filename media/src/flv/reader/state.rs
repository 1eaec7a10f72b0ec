//! The state of an FLV reader, which may have read half of a tag.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{FlvReader, State};
use crate::upgrade::{BlobId, Blobs, StateError};

/// The state of an [`FlvReader`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlvReaderState {
    /// The tracks in the file header, audio and video, once it was read.
    tracks: Option<(bool, bool)>,
    /// The bytes that were fed and are no whole tag yet.
    buffer: BlobId,
}

impl FlvReader {
    /// Returns its state. Bytes that are no whole tag yet go into `blobs`.
    pub fn state(&self, blobs: &mut Blobs) -> FlvReaderState {
        FlvReaderState { tracks: self.tracks(), buffer: blobs.put(&Bytes::copy_from_slice(&self.buffer)) }
    }

    /// Restores the reader under a limit that may differ from the one before; it applies from the next tag on.
    pub fn restore(
        state: FlvReaderState,
        body_limit_bytes: usize,
        blobs: &Blobs,
    ) -> Result<Self, StateError> {
        let FlvReaderState { tracks, buffer } = state;
        let state =
            tracks.map_or(State::FileHeader, |(has_audio, has_video)| State::Tags { has_audio, has_video });
        Ok(Self { buffer: BytesMut::from(&blobs.get(buffer)?[..]), body_limit_bytes, state })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        flv::{file_header, put_tag},
        stream::frame::{Frame, Track},
        upgrade::testing::read_again,
    };

    const LIMIT_BYTES: usize = 300;

    fn restored(reader: &FlvReader) -> FlvReader {
        let mut blobs = Blobs::default();
        let state = reader.state(&mut blobs);
        let (state, blobs) = read_again(&state, &blobs);
        FlvReader::restore(state, LIMIT_BYTES, &blobs).unwrap()
    }

    fn read(reader: &mut FlvReader, bytes: &[u8]) -> (Vec<Frame>, bool) {
        reader.feed(bytes);
        let mut frames = Vec::new();
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, true),
                Err(_) => return (frames, false),
            }
        }
    }

    /// Reads `input` with two readers, one of which is restored at each of these places.
    fn assert_same(input: &[u8], mut cuts: Vec<usize>) {
        cuts.sort_unstable();
        let (mut kept, mut moved) = (FlvReader::new(LIMIT_BYTES), FlvReader::new(LIMIT_BYTES));
        let mut from = 0;
        for to in cuts.into_iter().chain([input.len()]) {
            let (expected, goes_on) = read(&mut kept, &input[from..to]);
            assert_eq!(read(&mut moved, &input[from..to]), (expected, goes_on));
            if !goes_on {
                return;
            }
            moved = restored(&moved);
            assert_eq!(moved.tracks(), kept.tracks());
            from = to;
        }
    }

    fn stream(sizes_bytes: &[usize]) -> Vec<u8> {
        let mut stream = file_header(true, false).to_vec();
        for (at, size_bytes) in sizes_bytes.iter().enumerate() {
            put_tag(&mut stream, Track::Audio, at as i64, &vec![at as u8; *size_bytes]);
        }
        stream
    }

    proptest! {
        #[test]
        fn a_restored_reader_reads_the_same_frames(
            sizes_bytes in prop::collection::vec(0_usize..320, 1..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let input = stream(&sizes_bytes);
            assert_same(&input, cuts.iter().map(|cut| cut.index(input.len() + 1)).collect());
        }
    }

    #[test]
    fn a_reader_is_restored_at_every_byte() {
        let input = stream(&[40, 0, 7]);
        for cut in 0..=input.len() {
            assert_same(&input, vec![cut]);
        }
    }

    #[test]
    fn a_reader_whose_bytes_are_missing_is_refused() {
        let state = FlvReader::new(LIMIT_BYTES).state(&mut Blobs::default());
        assert!(FlvReader::restore(state, LIMIT_BYTES, &Blobs::default()).is_err());
    }
}
