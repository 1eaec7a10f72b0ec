//! The unit of delivery: a run of FLV tags, contiguous in memory and shared by everyone who gets it.

mod state;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{
    flv::{
        http_chunk::{self, Chunk},
        put_tag, tags,
    },
    stream::{
        frame::Track,
        headers::SharedHeaders,
        tracks::Tracks,
        wire_format::{Encodings, WireFormat},
    },
};
pub use state::BatchState;

/// The output of one flush of a stream, in order and shared by all subscribers: more than one batch if decoding can
/// start within it.
pub type Batches = Arc<[Arc<Batch>]>;

/// A run of a stream's media. Decoding can start at its first tag, or nowhere within it.
#[derive(Debug)]
pub struct Batch {
    /// Whole tags, contiguous, as the chunk of an HTTP/1.1 body that they were written as.
    chunk: Chunk,
    /// The tags alone, made for the first who needs them.
    flv: OnceLock<Bytes>,
    encodings: Encodings,
    /// If decoding can start at the first tag: what the decoder must have first.
    pub start: Option<SharedHeaders>,
    /// The earliest decoding time of its tags, in milliseconds.
    pub first_ms: i64,
    /// The latest decoding time of its tags, in milliseconds.
    pub last_ms: i64,
    /// The number of tags.
    pub tag_count: u32,
    /// The tracks with frames in it.
    pub tracks: Tracks,
    /// The audio alone, made for the first who waits for a keyframe.
    audio: OnceLock<Option<Arc<Batch>>>,
}

impl Batch {
    /// A batch of the tags in `chunk`.
    pub fn new(
        chunk: Chunk,
        start: Option<SharedHeaders>,
        first_ms: i64,
        last_ms: i64,
        tag_count: u32,
        tracks: Tracks,
    ) -> Self {
        Self {
            chunk,
            flv: OnceLock::new(),
            encodings: Encodings::default(),
            start,
            first_ms,
            last_ms,
            tag_count,
            tracks,
            audio: OnceLock::new(),
        }
    }

    /// Returns its tags, contiguous.
    pub fn flv(&self) -> &Bytes {
        self.flv.get_or_init(|| self.chunk.content())
    }

    /// Returns the size of its tags, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.chunk.content_bytes()
    }

    /// Returns its audio alone, if it has any, for viewers who wait for a keyframe. Encoded at most once, whatever their
    /// number.
    pub fn audio(&self) -> Option<&Arc<Self>> {
        self.audio.get_or_init(|| self.make_audio().map(Arc::new)).as_ref()
    }

    fn make_audio(&self) -> Option<Self> {
        let (mut flv, mut tag_count) = (http_chunk::begin(0), 0);
        for tag in tags(self.flv()).filter(|tag| tag.type_id == Track::Audio.type_id()) {
            put_tag(&mut flv, Track::Audio, tag.timestamp_ms.into(), tag.body);
            tag_count += 1;
        }
        let tracks = Tracks { video: false, ..self.tracks };
        let batch = || Self::new(http_chunk::end(flv), None, self.first_ms, self.last_ms, tag_count, tracks);
        (tag_count > 0).then(batch)
    }

    /// The media in a viewer's format. Encoded at most once, whatever the number of viewers.
    pub fn bytes(&self, format: WireFormat) -> &Bytes {
        match format {
            WireFormat::FlvChunks => &self.chunk.whole,
            _ => self.encodings.get(format, self.flv()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{samples, stream::batcher::Batcher};

    #[test]
    fn the_audio_of_a_batch_can_be_had_alone() {
        let mut batcher = Batcher::default();
        batcher.push(samples::audio_header()).unwrap();
        for frame in [samples::keyframe(0), samples::audio(10), samples::inter(33), samples::audio(35)] {
            batcher.push(frame).unwrap();
        }
        let batches = batcher.flush();
        let [_, media] = &batches[..] else { panic!("{batches:?}") };
        assert_eq!(media.tracks, Tracks::ALL);
        let audio = media.audio().unwrap();
        let times: Vec<_> = tags(audio.flv()).map(|tag| (tag.type_id, tag.timestamp_ms)).collect();
        assert_eq!(times, [(8, 10), (8, 35)]);
        assert_eq!((audio.tag_count, audio.start.is_some(), audio.tracks.video), (2, false, false));
        assert!(Arc::ptr_eq(audio, media.audio().unwrap()), "made once");
        batcher.push(samples::inter(66)).unwrap();
        assert!(batcher.flush()[0].audio().is_none());
    }
}
