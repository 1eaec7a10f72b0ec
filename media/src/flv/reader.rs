//! Reads an FLV stream that arrives in pieces.

mod state;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::{
    flv::{FILE_HEADER_BYTES, TAG_HEADER_BYTES, TAG_OVERHEAD_BYTES, TagHeader},
    stream::frame::{Frame, Track},
};
pub use state::FlvReaderState;

/// Takes the bytes of an FLV stream in any pieces and gives its frames.
#[derive(Debug)]
pub struct FlvReader {
    buffer: BytesMut,
    body_limit_bytes: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FileHeader,
    Tags { has_audio: bool, has_video: bool },
}

/// The reason a stream is not FLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FlvError {
    /// It does not begin with `FLV`, version 1.
    #[error("the stream does not begin as FLV version 1")]
    Signature,
    /// A tag over the limit.
    #[error("an FLV tag of {size_bytes} bytes, the limit is {limit_bytes}")]
    TagTooLarge {
        /// Size in the tag's header, in bytes.
        size_bytes: usize,
        /// The limit, in bytes.
        limit_bytes: usize,
    },
}

impl FlvReader {
    /// A reader that refuses tags whose body is over `body_limit_bytes`.
    pub fn new(body_limit_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), body_limit_bytes, state: State::FileHeader }
    }

    /// Takes the next bytes. Call [`next_frame`](Self::next_frame) until it has no more before feeding again, so that
    /// no more than one tag and one piece are held.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The tracks in the file header, audio and video, once it was read.
    pub fn tracks(&self) -> Option<(bool, bool)> {
        match self.state {
            State::FileHeader => None,
            State::Tags { has_audio, has_video } => Some((has_audio, has_video)),
        }
    }

    /// The next complete frame. Tags of unknown types are passed over.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FlvError> {
        if self.state == State::FileHeader && !self.read_file_header()? {
            return Ok(None);
        }
        while let Some((type_id, timestamp_ms, payload)) = self.next_tag()? {
            if let Some(track) = Track::from_type_id(type_id) {
                return Ok(Some(Frame { track, timestamp_ms, payload }));
            }
        }
        Ok(None)
    }

    fn read_file_header(&mut self) -> Result<bool, FlvError> {
        let seen = self.buffer.len().min(4);
        if self.buffer[..seen] != b"FLV\x01"[..seen] {
            return Err(FlvError::Signature);
        }
        if self.buffer.len() < FILE_HEADER_BYTES {
            return Ok(false);
        }
        let flags = self.buffer[4];
        self.state = State::Tags { has_audio: flags & 4 != 0, has_video: flags & 1 != 0 };
        self.buffer.advance(FILE_HEADER_BYTES);
        Ok(true)
    }

    fn next_tag(&mut self) -> Result<Option<(u8, u32, Bytes)>, FlvError> {
        let Some(header) = self.buffer.first_chunk() else { return Ok(None) };
        let TagHeader { type_id, size_bytes, timestamp_ms } = TagHeader::parse(header);
        if size_bytes > self.body_limit_bytes {
            return Err(FlvError::TagTooLarge { size_bytes, limit_bytes: self.body_limit_bytes });
        }
        if self.buffer.len() < TAG_OVERHEAD_BYTES + size_bytes {
            return Ok(None);
        }
        let mut tag = self.buffer.split_to(TAG_OVERHEAD_BYTES + size_bytes);
        tag.advance(TAG_HEADER_BYTES);
        tag.truncate(size_bytes);
        Ok(Some((type_id, timestamp_ms, tag.freeze())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flv::{file_header, put_tag};

    fn frames(reader: &mut FlvReader) -> Vec<Frame> {
        std::iter::from_fn(|| reader.next_frame().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn frames_come_out_whole_however_the_bytes_arrive(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..10),
            piece in 1_usize..64,
        ) {
            let mut stream = file_header(true, false).to_vec();
            for (at, body) in bodies.iter().enumerate() {
                put_tag(&mut stream, Track::Audio, at as i64, body);
            }
            let mut reader = FlvReader::new(1000);
            let mut read = Vec::new();
            for piece in stream.chunks(piece) {
                reader.feed(piece);
                read.extend(frames(&mut reader));
            }
            prop_assert_eq!(reader.tracks(), Some((true, false)));
            prop_assert_eq!(read.iter().map(|frame| frame.payload.to_vec()).collect::<Vec<_>>(), bodies);
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let mut reader = FlvReader::new(100);
            reader.feed(b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
            reader.feed(&bytes);
            while let Ok(Some(_)) = reader.next_frame() {}
        }
    }

    #[test]
    fn another_format_is_refused_at_its_first_byte() {
        let mut reader = FlvReader::new(100);
        reader.feed(b"<");
        assert_eq!(reader.next_frame(), Err(FlvError::Signature));
    }

    #[test]
    fn a_tag_over_the_limit_is_refused_before_it_arrives() {
        let mut reader = FlvReader::new(100);
        reader.feed(&file_header(true, true));
        reader.feed(&[9, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            reader.next_frame(),
            Err(FlvError::TagTooLarge { size_bytes: 0xFF_FFFF, limit_bytes: 100 })
        );
    }
}
