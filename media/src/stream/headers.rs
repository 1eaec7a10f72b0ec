//! What a decoder must have before its first frame: metadata and sequence headers.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{
    codec::frame_size::FrameSize,
    flv::{TAG_OVERHEAD_BYTES, audio::AudioCodec, file_header, put_tag, video::VideoCodec},
    rtmp::mux::flv_to_chunks,
    stream::{frame::Track, metadata::Metadata, wire_format::WireFormat},
};

/// The longest metadata or sequence header, in bytes. Each is kept, parsed, and sent to every viewer who joins.
pub const HEADER_MAX_BYTES: usize = 64 * 1024;

/// The headers of a stream as they are now, gathered from its frames.
#[derive(Debug, Clone, Default)]
pub struct HeaderSet {
    metadata_payload: Option<Bytes>,
    metadata: Metadata,
    video: Option<Bytes>,
    audio: Option<Bytes>,
    video_codec: Option<VideoCodec>,
    audio_codec: Option<AudioCodec>,
}

impl HeaderSet {
    /// Keeps onMetaData. Tells whether it differs from the one before.
    pub fn set_metadata(&mut self, payload: &Bytes) -> bool {
        let changed = replace(&mut self.metadata_payload, payload);
        if changed {
            self.metadata = Metadata::parse(payload);
        }
        changed
    }

    /// Keeps the video sequence header. Tells whether it differs from the one before.
    pub fn set_video(&mut self, payload: &Bytes) -> bool {
        replace(&mut self.video, payload)
    }

    /// Keeps the audio sequence header. Tells whether it differs from the one before.
    pub fn set_audio(&mut self, payload: &Bytes) -> bool {
        replace(&mut self.audio, payload)
    }

    /// Notes that the stream has video, of this codec.
    pub fn see_video(&mut self, codec: VideoCodec) {
        self.video_codec = Some(codec);
    }

    /// Notes that the stream has audio, of this codec.
    pub fn see_audio(&mut self, codec: AudioCodec) {
        self.audio_codec = Some(codec);
    }

    /// The codec of the video seen so far.
    pub fn video_codec(&self) -> Option<VideoCodec> {
        self.video_codec
    }

    /// The codec of the audio seen so far.
    pub fn audio_codec(&self) -> Option<AudioCodec> {
        self.audio_codec
    }

    /// The size of the pictures: that of the sequence header, or else what the publisher announced.
    pub fn frame_size(&self) -> Option<FrameSize> {
        let coded = self.video.as_deref().and_then(FrameSize::of_sequence_header);
        coded.or_else(|| {
            let Metadata { width, height, .. } = self.metadata;
            Some(FrameSize { width: width?, height: height? })
        })
    }

    /// What the publisher announced.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The headers as a viewer gets them who joins at `time_ms`. They are encoded when the first one does.
    pub fn at(&self, time_ms: i64) -> Headers {
        Headers {
            metadata: self.metadata_payload.clone(),
            video: self.video.clone(),
            audio: self.audio.clone(),
            time_ms,
            flv: OnceLock::new(),
            chunks: OnceLock::new(),
            has_audio: self.audio_codec.is_some() || self.metadata.announces_audio,
            has_video: self.video_codec.is_some() || self.metadata.announces_video,
        }
    }
}

fn replace(slot: &mut Option<Bytes>, payload: &Bytes) -> bool {
    let changed = slot.as_ref() != Some(payload);
    if changed {
        *slot = Some(payload.clone());
    }
    changed
}

/// Metadata and sequence headers at one join point, encoded once for all who join there.
#[derive(Debug)]
pub struct Headers {
    metadata: Option<Bytes>,
    video: Option<Bytes>,
    audio: Option<Bytes>,
    time_ms: i64,
    flv: OnceLock<Bytes>,
    chunks: OnceLock<Bytes>,
    has_audio: bool,
    has_video: bool,
}

impl Headers {
    /// The headers in a viewer's format, without what begins a connection.
    pub fn bytes(&self, format: WireFormat) -> Bytes {
        let flv = self.flv.get_or_init(|| self.encode());
        match format {
            WireFormat::Flv => flv.clone(),
            WireFormat::RtmpChunks => self.chunks.get_or_init(|| flv_to_chunks(flv)).clone(),
        }
    }

    /// What begins the media of a connection in this format: FLV's file header, nothing for RTMP.
    pub fn preamble(&self, format: WireFormat) -> Bytes {
        match format {
            WireFormat::Flv => Bytes::copy_from_slice(&file_header(self.has_audio, self.has_video)),
            WireFormat::RtmpChunks => Bytes::new(),
        }
    }

    fn encode(&self) -> Bytes {
        let parts = [(Track::Data, &self.metadata), (Track::Video, &self.video), (Track::Audio, &self.audio)];
        let present = || parts.iter().filter_map(|(track, body)| Some((*track, body.as_ref()?)));
        let size_bytes = present().map(|(_, body)| TAG_OVERHEAD_BYTES + body.len()).sum();
        let mut flv = Vec::with_capacity(size_bytes);
        for (track, body) in present() {
            put_tag(&mut flv, track, self.time_ms, body);
        }
        flv.into()
    }
}

/// Headers shared by a batch, the cache and the viewers that hold them.
pub type SharedHeaders = Arc<Headers>;
