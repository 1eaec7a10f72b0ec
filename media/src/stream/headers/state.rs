//! The state of a stream's headers.

use serde::{Deserialize, Serialize};

use super::{EXTRAS_MAX, Extra, HEADER_MAX_BYTES, HeaderSet, Headers, VideoConfig};
use crate::{
    flv::{audio::AudioCodec, video::VideoCodec},
    stream::{header_key::HeaderKey, metadata::Metadata, tracks::Tracks},
    upgrade::{BlobId, Blobs, StateError, check_media_time},
};

const PART: &str = "headers";

/// The most bytes of the length before a NAL unit (ISO/IEC 14496-15, section 5.3.3.1.2).
const NAL_LENGTH_MAX_BYTES: usize = 4;

/// The state of a [`HeaderSet`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeaderSetState {
    metadata: Option<BlobId>,
    video: Option<BlobId>,
    audio: Option<BlobId>,
    extras: Vec<(HeaderKey, BlobId)>,
    video_codec: Option<VideoCodec>,
    audio_codec: Option<AudioCodec>,
    nal_length_bytes: usize,
    has_parameter_sets: bool,
}

/// The state of [`Headers`]. They are encoded again when the next viewer needs them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeadersState {
    set: HeaderSetState,
    time_ms: i64,
    tracks: Tracks,
}

impl HeaderSet {
    /// Gives its state. The headers go into `blobs`.
    pub fn state(&self, blobs: &mut Blobs) -> HeaderSetState {
        let extras = self.extras.as_deref().unwrap_or_default();
        HeaderSetState {
            metadata: blobs.put_if_any(self.metadata_payload.as_ref()),
            video: blobs.put_if_any(self.video.as_ref()),
            audio: blobs.put_if_any(self.audio.as_ref()),
            extras: extras.iter().map(|extra| (extra.key, blobs.put(&extra.payload))).collect(),
            video_codec: self.video_codec,
            audio_codec: self.audio_codec,
            nal_length_bytes: self.video_config.nal_length_bytes,
            has_parameter_sets: self.video_config.has_parameter_sets,
        }
    }

    /// Restores the headers; refuses more, or longer ones, than a stream keeps.
    pub fn restore(state: HeaderSetState, blobs: &Blobs) -> Result<Self, StateError> {
        let HeaderSetState { nal_length_bytes, has_parameter_sets, .. } = state;
        let is_length = (1..=NAL_LENGTH_MAX_BYTES).contains(&nal_length_bytes);
        StateError::unless(is_length, PART, "the length of NAL units has no such size")?;
        StateError::unless(state.extras.len() <= EXTRAS_MAX, PART, "too many of further tracks")?;
        let header = |id: Option<BlobId>| {
            let payload = blobs.get_if_any(id)?;
            let is_short = payload.as_ref().is_none_or(|payload| payload.len() <= HEADER_MAX_BYTES);
            StateError::unless(is_short, PART, "one is too long").map(|()| payload)
        };
        let mut extras = Vec::with_capacity(state.extras.len());
        for (key, id) in state.extras {
            extras.extend(header(Some(id))?.map(|payload| Extra { key, payload }));
        }
        let metadata_payload = header(state.metadata)?;
        Ok(Self {
            metadata: metadata_payload.as_deref().map(Metadata::parse).unwrap_or_default(),
            metadata_payload,
            video: header(state.video)?,
            audio: header(state.audio)?,
            extras: (!extras.is_empty()).then(|| extras.into()),
            video_codec: state.video_codec,
            audio_codec: state.audio_codec,
            video_config: VideoConfig { nal_length_bytes, has_parameter_sets },
        })
    }
}

impl Headers {
    /// Gives their state.
    pub fn state(&self, blobs: &mut Blobs) -> HeadersState {
        HeadersState { set: self.set.state(blobs), time_ms: self.time_ms, tracks: self.tracks }
    }

    /// Restores them.
    pub fn restore(state: HeadersState, blobs: &Blobs) -> Result<Self, StateError> {
        check_media_time(state.time_ms, PART)?;
        Ok(HeaderSet::restore(state.set, blobs)?.at(state.time_ms, state.tracks))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        samples,
        stream::{frame::Frame, wire_format::WireFormat},
        upgrade::testing::read_again,
    };

    fn headers() -> Headers {
        let mut batcher = crate::stream::batcher::Batcher::default();
        for frame in [samples::metadata(true, true), samples::video_header(), samples::audio_header()] {
            batcher.push(frame).unwrap();
        }
        let colour = Frame { payload: Bytes::from_static(b"\x94hvc1\x02"), ..samples::video_header() };
        batcher.push(colour).unwrap();
        batcher.headers().at(700, Tracks::ALL)
    }

    #[test]
    fn restored_headers_are_the_same_in_every_format() {
        let headers = headers();
        let mut blobs = Blobs::default();
        let state = headers.state(&mut blobs);
        let (state, blobs) = read_again(&state, &blobs);
        let restored = Headers::restore(state, &blobs).unwrap();
        for format in
            [WireFormat::Flv, WireFormat::FlvChunks, WireFormat::FlvMessages, WireFormat::RtmpChunks]
        {
            assert_eq!(restored.bytes(format), headers.bytes(format));
            assert_eq!(restored.preamble(format), headers.preamble(format));
        }
        let (set, before) = (&restored.set, &headers.set);
        assert_eq!(set.metadata(), before.metadata());
        assert_eq!(set.frame_size(), before.frame_size());
        assert_eq!(set.nal_length_bytes(), before.nal_length_bytes());
        assert_eq!((set.video_codec(), set.audio_codec()), (before.video_codec(), before.audio_codec()));
    }

    #[test]
    fn headers_that_no_stream_keeps_are_refused() {
        let mut blobs = Blobs::default();
        let state = headers().state(&mut blobs);
        let refused = |change: &dyn Fn(&mut HeadersState)| {
            let mut changed = state.clone();
            change(&mut changed);
            Headers::restore(changed, &blobs).is_err()
        };
        assert!(!refused(&|_| {}));
        assert!(refused(&|state| state.time_ms = -1));
        assert!(refused(&|state| state.set.nal_length_bytes = 0));
        assert!(refused(&|state| state.set.nal_length_bytes = 5));
        assert!(refused(&|state| state.set.extras = vec![state.set.extras[0]; EXTRAS_MAX + 1]));
        let long = blobs.put(&vec![0; HEADER_MAX_BYTES + 1].into());
        let mut too_long = state;
        too_long.set.video = Some(long);
        assert!(Headers::restore(too_long, &blobs).is_err());
    }
}
