//! Makes batches of a stream's frames: places them on the timeline, keeps the headers, cuts where viewers can begin.

mod pending_tag;
mod state;

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::pending_tag::{PendingTag, TagKind, encode};
pub use crate::stream::frame_class::FrameError;
use crate::{
    flv::{
        audio::AudioHeader,
        video::{VideoHeader, with_composition_time},
    },
    stream::{
        batch::Batch,
        frame::{Frame, Track},
        frame_class::FrameClass,
        headers::{HeaderSet, SharedHeaders},
        opening::Opening,
        timeline::{Placed, Timeline},
        track_watch::{Appearance, TrackWatch},
        tracks::Tracks,
        video_entry::{Entry, EntryChange, EntryLimits, FrameKind, VideoEntry},
        video_frame::{VideoContent, VideoFrames},
    },
};
pub use state::BatcherState;

/// Decoding of a stream without video can start anywhere; this often, in milliseconds, a batch says so.
pub const AUDIO_START_INTERVAL_MS: i64 = 1_000;

/// Audio and video that are further apart than this, in milliseconds, are worth a line in the log: players hold one back
/// until the other is there, and have only so much room for it.
pub const APART_MAX_MS: i64 = 2_000;

/// So many frames of video in a row that are apart from the audio make it certain.
const APART_FRAMES: u32 = 50;

/// An event in a stream that is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamNote {
    /// Viewers begin at other places than before.
    Entry(EntryChange),
    /// A track came after the first viewers had got their headers.
    TrackCame(Track),
    /// A track's frames stopped, while the other one goes on.
    TrackPaused(Track),
    /// A track's frames come again.
    TrackResumed(Track),
    /// Audio and video of one moment are sent so many milliseconds apart; negative if the audio is ahead.
    Apart(i64),
    /// The timeline started over near 0.
    Restarted,
}

/// Gathers frames until the next flush.
#[derive(Debug, Default)]
pub struct Batcher {
    limits: EntryLimits,
    timeline: Timeline,
    headers: HeaderSet,
    phase: Phase,
    pending: Vec<PendingTag>,
    audio: TrackWatch,
    video: TrackWatch,
    video_frames: VideoFrames,
    entry: VideoEntry,
    last_audio_start_ms: Option<i64>,
    apart_frames: u32,
    video_after_audio_ms: Option<i64>,
    has_b_frames: bool,
    notes: Vec<StreamNote>,
}

#[derive(Debug)]
enum Phase {
    /// It is not known yet which tracks come.
    Opening(Opening),
    Open,
}

impl Default for Phase {
    fn default() -> Self {
        Self::Opening(Opening::default())
    }
}

impl Batcher {
    /// Creates the batcher of a stream without a publisher.
    pub fn new(limits: EntryLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes the next frame. Headers that only repeat what is known are passed over. Returns whether a flush is best made
    /// with it: what else there is rides along with video, or with audio if there is none.
    pub fn push(&mut self, frame: Frame) -> Result<bool, FrameError> {
        match FrameClass::of(&frame)? {
            FrameClass::Video(header) => {
                self.has_b_frames |= header.composition_time_ms != 0;
                self.push_video(frame, &header)
            }
            FrameClass::Audio(header) => self.push_audio(frame, &header),
            class if class.is_header() => self.push_header(class, frame),
            FrameClass::Private => Ok(false),
            _ => Ok(self.push_other(frame)),
        }
    }

    /// Ends the wait for tracks that have not come.
    pub fn open(&mut self) {
        let Phase::Opening(opening) = std::mem::replace(&mut self.phase, Phase::Open) else { return };
        let came = opening.came();
        self.audio = if came.audio { TrackWatch::present() } else { TrackWatch::default() };
        self.video = if came.video { TrackWatch::present() } else { TrackWatch::default() };
        for (track, payload) in self.headers.tags_for(came) {
            self.append_header(track, payload);
        }
        for frame in opening.into_frames() {
            // It was read before it was held.
            let _ = self.push(frame);
        }
    }

    /// Returns whether frames are held until it is known which tracks come.
    pub fn is_opening(&self) -> bool {
        matches!(&self.phase, Phase::Opening(opening) if !opening.is_empty())
    }

    /// The frames since the last flush, as batches that start where decoding can.
    pub fn flush(&mut self) -> Vec<Arc<Batch>> {
        let mut batches = Vec::with_capacity(self.pending.len().min(1));
        let mut tags = &self.pending[..];
        while !tags.is_empty() {
            let next_start = tags.iter().skip(1).position(|tag| tag.start.is_some());
            let (batch, rest) = tags.split_at(next_start.map_or(tags.len(), |at| at + 1));
            batches.push(Arc::new(encode(batch)));
            tags = rest;
        }
        self.pending.clear();
        batches
    }

    /// Returns whether a flush would return media.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The publisher left; the next one has a clock, tracks and headers of its own.
    pub fn end_publisher(&mut self) {
        self.timeline.end_clock();
        *self = Self {
            timeline: std::mem::take(&mut self.timeline),
            pending: std::mem::take(&mut self.pending),
            notes: std::mem::take(&mut self.notes),
            ..Self::new(self.limits)
        };
    }

    /// Marks the media that follows as another node's, which begins where its viewers can.
    pub fn join_origin(&mut self) {
        self.entry.join();
    }

    /// The stream's headers so far.
    pub fn headers(&self) -> &HeaderSet {
        &self.headers
    }

    /// The tracks whose frames come.
    pub fn tracks(&self) -> Tracks {
        Tracks { audio: self.audio.is_present(), video: self.video.is_present() }
    }

    /// Returns whether viewers begin without a keyframe, because none has come for too long.
    pub fn lacks_keyframes(&self) -> bool {
        self.video.is_present() && self.entry.is_anywhere()
    }

    /// Returns the time of the last keyframe, while keyframes come.
    pub fn last_keyframe_ms(&self) -> Option<i64> {
        self.entry.last_keyframe_ms()
    }

    /// The distance between the newest video and audio as they come, in milliseconds; negative if audio is ahead. `None`
    /// until both came.
    pub fn video_after_audio_ms(&self) -> Option<i64> {
        self.video_after_audio_ms
    }

    /// Returns whether frames are presented in another order than they are decoded in.
    pub fn has_b_frames(&self) -> bool {
        self.has_b_frames
    }

    /// Returns the headers of a viewer for whom no media is kept, if it should not wait for a keyframe: it gets audio at
    /// once and video later.
    pub fn headers_for_audio_first(&self) -> Option<SharedHeaders> {
        let waits = self.entry.keeps_waiting() && self.tracks() == Tracks::ALL;
        waits.then(|| Arc::new(self.headers.at(self.timeline.now_ms(), Tracks::ALL)))
    }

    /// The GOP that is open is too large to be kept for viewers who join.
    pub fn gop_outgrown(&mut self) {
        self.entry.outgrow();
    }

    /// The time of the newest frame, if there was one.
    pub fn newest_ms(&self) -> Option<i64> {
        self.timeline.newest_ms()
    }

    /// Returns the events since the last call.
    pub fn take_notes(&mut self) -> Vec<StreamNote> {
        std::mem::take(&mut self.notes)
    }

    fn push_header(&mut self, class: FrameClass, frame: Frame) -> Result<bool, FrameError> {
        let Frame { track, payload, .. } = frame;
        let is_late = track != Track::Data
            && matches!(&self.phase, Phase::Opening(opening) if opening.came().contains(track));
        if is_late {
            // The frames that are held are those of the header before.
            self.open();
        }
        let (changed, is_wanted) = match class {
            FrameClass::VideoHeader(header) => {
                (self.headers.set_video(&header, &payload)?, self.video.is_present())
            }
            FrameClass::AudioHeader(header) => {
                (self.headers.set_audio(&header, &payload)?, self.audio.is_present())
            }
            FrameClass::Extra(key) => {
                let is_wanted = !key.is_of_main_track() || self.tracks().contains(track);
                (self.headers.set_extra(key, &payload)?, is_wanted)
            }
            _ => (self.headers.set_metadata(&payload)?, true),
        };
        match self.phase {
            Phase::Open if changed && class == FrameClass::Metadata => self.append_metadata(),
            Phase::Open if changed && is_wanted => self.append_header(track, payload),
            _ => {}
        }
        Ok(is_late)
    }

    fn push_video(&mut self, frame: Frame, header: &VideoHeader) -> Result<bool, FrameError> {
        let wants_recovery_points = self.entry.wants_recovery_points();
        let nal_length_bytes = self.headers.nal_length_bytes();
        let Frame { track, timestamp_ms, payload } = frame;
        let read = self.video_frames.read(header, payload, nal_length_bytes, wants_recovery_points)?;
        let Some(content) = read else { return Ok(false) };
        if let Phase::Opening(_) = self.phase {
            return Ok(self.hold(Frame { track, timestamp_ms, payload: content.payload }, Some(track)));
        }
        self.headers.see_video(header.codec);
        self.restart_timeline_at(content.kind == FrameKind::Keyframe || self.entry.is_anywhere());
        let placed = self.timeline.place_decoded(track, timestamp_ms);
        self.watch_distance(placed.time_ms);
        let appearance = self.video.frame(placed.time_ms);
        if self.audio.other_frame(placed.time_ms) {
            self.notes.push(StreamNote::TrackPaused(Track::Audio));
        }
        if appearance != Appearance::Usual {
            self.welcome(track, appearance);
        }
        Ok(self.append_video(content, header, placed))
    }

    /// Appends a frame of video if it is of use to anyone. Returns whether it is.
    fn append_video(&mut self, content: VideoContent, header: &VideoHeader, placed: Placed) -> bool {
        let Placed { time_ms, presented_later_ms } = placed;
        let (entry, change) = self.entry.next(content.kind, time_ms, self.limits);
        self.notes.extend(change.map(StreamNote::Entry));
        if entry == Entry::NotYet {
            return false;
        }
        let start = (entry == Entry::Here).then(|| Arc::new(self.headers.at(time_ms, self.tracks())));
        let moved = match presented_later_ms {
            0 => None,
            _ => {
                let composition_time_ms = i64::from(header.composition_time_ms) + presented_later_ms;
                with_composition_time(&content.payload, composition_time_ms)
            }
        };
        let payload = moved.unwrap_or(content.payload);
        self.pending.push(PendingTag { track: Track::Video, time_ms, payload, kind: TagKind::Coded, start });
        true
    }

    fn push_audio(&mut self, frame: Frame, header: &AudioHeader) -> Result<bool, FrameError> {
        if let Phase::Opening(_) = self.phase {
            return Ok(self.hold(frame, Some(Track::Audio)));
        }
        self.headers.see_audio(header.codec);
        self.restart_timeline_at(!self.video.is_present());
        let Frame { track, timestamp_ms, payload } = frame;
        let time_ms = self.timeline.place(track, timestamp_ms);
        let appearance = self.audio.frame(time_ms);
        if self.video.other_frame(time_ms) {
            self.notes.push(StreamNote::TrackPaused(Track::Video));
        }
        if appearance != Appearance::Usual {
            self.welcome(track, appearance);
        }
        let start = self.is_audio_start(time_ms).then(|| Arc::new(self.headers.at(time_ms, self.tracks())));
        self.pending.push(PendingTag { track, time_ms, payload, kind: TagKind::Coded, start });
        Ok(!self.video.is_present())
    }

    /// Passes on what is neither header nor of a main track.
    fn push_other(&mut self, frame: Frame) -> bool {
        if let Phase::Opening(_) = self.phase {
            return self.hold(frame, None);
        }
        let Frame { track, timestamp_ms, payload } = frame;
        let time_ms = match track {
            Track::Data => self.timeline.now_ms(),
            Track::Audio | Track::Video => self.timeline.beside(track, timestamp_ms),
        };
        self.pending.push(PendingTag { track, time_ms, payload, kind: TagKind::Other, start: None });
        false
    }

    /// Holds a frame for as long as it is not known which tracks come. Returns whether that is over.
    fn hold(&mut self, frame: Frame, track: Option<Track>) -> bool {
        let Phase::Opening(opening) = &mut self.phase else { return false };
        opening.hold(frame, track);
        let is_over = opening.is_over(&self.headers);
        if is_over {
            self.open();
        }
        is_over
    }

    /// Puts the headers of a track that was not there in front of its frame: viewers who joined meanwhile lack them.
    fn welcome(&mut self, track: Track, appearance: Appearance) {
        match appearance {
            Appearance::Usual => return,
            Appearance::First => self.notes.push(StreamNote::TrackCame(track)),
            Appearance::Again => self.notes.push(StreamNote::TrackResumed(track)),
        }
        if self.headers.metadata().announced().contains(track) {
            self.append_metadata();
        }
        for payload in self.headers.of_track(track) {
            self.append_header(track, payload);
        }
    }

    fn append_metadata(&mut self) {
        if let Some(payload) = self.headers.metadata_for(self.tracks()) {
            self.append_header(Track::Data, payload);
        }
    }

    fn append_header(&mut self, track: Track, payload: Bytes) {
        let kind = if track == Track::Data { TagKind::Metadata } else { TagKind::Other };
        let time_ms = self.timeline.now_ms();
        self.pending.push(PendingTag { track, time_ms, payload, kind, start: None });
    }

    fn is_audio_start(&mut self, time_ms: i64) -> bool {
        let is_due = !self.video.is_present()
            && self
                .last_audio_start_ms
                .is_none_or(|last_ms| !(last_ms..last_ms + AUDIO_START_INTERVAL_MS).contains(&time_ms));
        if is_due {
            self.last_audio_start_ms = Some(time_ms);
        }
        is_due
    }

    fn restart_timeline_at(&mut self, can_start: bool) {
        if can_start && self.timeline.restart_if_due() {
            self.notes.push(StreamNote::Restarted);
        }
    }

    fn watch_distance(&mut self, video_ms: i64) {
        let Some(audio_ms) = self.audio.newest_ms() else { return };
        let behind_ms = video_ms - audio_ms;
        self.video_after_audio_ms = Some(behind_ms);
        self.apart_frames =
            if behind_ms.abs() > APART_MAX_MS { self.apart_frames.saturating_add(1) } else { 0 };
        if self.apart_frames == APART_FRAMES {
            self.notes.push(StreamNote::Apart(behind_ms));
        }
    }
}

#[cfg(test)]
mod tests;
