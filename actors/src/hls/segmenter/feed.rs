//! The way of a stream's media into the segmenter: batches become frames again.

use std::sync::Arc;

use bytes::Bytes;
use log::{debug, warn};
use synctv_media::{
    flv,
    hls::{
        container::{ContainerError, Unsupported},
        segment::SegmentError,
        segmenter::AnnouncedTracks,
    },
    stream::{
        batch::Batch,
        frame::Track,
        gop::JoinPoint,
        headers::SharedHeaders,
        metadata::{Metadata, is_metadata},
        wire_format::WireFormat,
    },
};

use super::{SegmenterActor, SegmenterPhase};
use crate::{clock::unix_ms, hls::parked_segmenter::FormContainer};

impl<C: FormContainer> SegmenterActor<C> {
    pub(super) fn media(&mut self, batches: &[Arc<Batch>], after_gap: bool) {
        if after_gap {
            self.splice();
            self.set_announced(self.announced);
            self.headers(batches.first().and_then(|batch| batch.start.as_ref()));
        }
        self.date(batches);
        batches.iter().for_each(|batch| self.batch(batch));
    }

    pub(super) fn join(&mut self, point: &JoinPoint) {
        self.headers(Some(&point.headers));
        self.date(&point.batches);
        point.batches.iter().for_each(|batch| self.batch(batch));
    }

    fn batch(&mut self, batch: &Batch) {
        self.feed(batch.flv(), batch.first_ms);
    }

    /// The newest media is live now.
    fn date(&mut self, batches: &[Arc<Batch>]) {
        if let Some(newest) = batches.last() {
            self.wall_clock.note(newest.last_ms, unix_ms().cast_signed());
        }
    }

    /// Headers have no time of their own that would matter.
    fn headers(&mut self, headers: Option<&SharedHeaders>) {
        if let Some(headers) = headers {
            self.feed(&headers.bytes(WireFormat::Flv), 0);
        }
    }

    fn feed(&mut self, run: &Bytes, first_ms: i64) {
        for (track, time_ms, payload) in flv::frames(run, first_ms) {
            if !matches!(self.phase, SegmenterPhase::Cutting(_)) {
                return;
            }
            if track == Track::Data {
                self.data(&payload);
            }
            self.frame(track, time_ms, &payload);
        }
    }

    fn data(&mut self, payload: &[u8]) {
        self.set_announced(announced_tracks(payload));
    }

    fn set_announced(&mut self, announced: Option<AnnouncedTracks>) {
        if let Some(announced) = announced {
            self.announced = Some(announced);
            self.segmenter.set_tracks(announced);
        }
    }

    fn frame(&mut self, track: Track, time_ms: i64, payload: &Bytes) {
        match self.segmenter.push(track, time_ms, payload) {
            Ok(()) => self.publish_finished(),
            Err(SegmentError::Container(reason @ ContainerError::UnsupportedCodec(codec))) => {
                self.refuse(Unsupported { codec, reason });
            }
            Err(SegmentError::Unsupported(unsupported)) => self.refuse_for_now(unsupported),
            Err(error) => self.note_unreadable(&error),
        }
    }

    fn note_unreadable(&mut self, error: &SegmentError) {
        self.unreadable_frames += 1;
        if self.unreadable_frames == 1 {
            warn!(room = self.stream.room().as_str(), reason:% = error; "HLS: frames that cannot be read are left out");
        }
        debug!(room = self.stream.room().as_str(), frames = self.unreadable_frames; "HLS: unreadable frame");
    }
}

/// The tracks that a data message announces, if any. Only onMetaData is read, whose size is limited: others may be as large
/// as a frame, and their values take many times that.
fn announced_tracks(payload: &[u8]) -> Option<AnnouncedTracks> {
    let metadata = Metadata::parse(Some(payload).filter(|payload| is_metadata(payload))?);
    let announced = AnnouncedTracks { video: metadata.announces_video, audio: metadata.announces_audio };
    (announced.video || announced.audio).then_some(announced)
}

#[cfg(test)]
mod tests {
    use synctv_media::samples;

    use super::*;

    #[test]
    fn only_metadata_announces_what_there_is() {
        for (video, audio) in [(true, true), (false, true), (true, false)] {
            let announced = announced_tracks(&samples::metadata(video, audio).payload);
            assert_eq!(announced, Some(AnnouncedTracks { video, audio }));
        }
        assert_eq!(announced_tracks(&samples::metadata(false, false).payload), None);
        let mut other = samples::metadata(true, true).payload.to_vec();
        other[3..13].copy_from_slice(b"onCuePoint");
        assert_eq!(announced_tracks(&other), None);
    }
}
