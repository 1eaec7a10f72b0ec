//! The lines that a stream writes about what its publisher sends.

use log::{debug, info, warn};
use synctv_media::stream::{batcher::StreamNote, frame::Track, video_entry::EntryChange};

use super::StreamActor;

impl StreamActor {
    /// Writes down what happened since the last time.
    pub(super) fn log_notes(&mut self) {
        for note in self.batcher.take_notes() {
            self.write_note(note);
        }
    }

    pub(super) fn note_unreadable(&mut self, error: &dyn std::fmt::Display) {
        self.unreadable_frames += 1;
        self.meters.node().unreadable_frames.inc();
        if self.unreadable_frames == 1 {
            warn!(room = self.room.as_str(), reason:% = error; "frames that cannot be read are left out");
        }
        debug!(room = self.room.as_str(), frames = self.unreadable_frames; "unreadable frame");
    }

    /// Names the cause of a delay that people look for in the server.
    pub(super) fn warn_of_interval(&self, interval_ms: i64) {
        warn!(room = self.room.as_str(), interval_ms;
            "keyframes are far apart: viewers join late, and over HLS in MPEG-TS they are three intervals behind");
    }

    fn write_note(&self, note: StreamNote) {
        let room = self.room.as_str();
        match note {
            StreamNote::TrackCame(track) => info!(room, track = name(track); "track started late"),
            StreamNote::TrackPaused(track) => info!(room, track = name(track); "track paused"),
            StreamNote::TrackResumed(track) => info!(room, track = name(track); "track resumed"),
            StreamNote::Apart(video_after_audio_ms) => {
                warn!(room, video_after_audio_ms; "audio and video are sent far apart");
            }
            StreamNote::Restarted => info!(room; "timeline restarted near 0"),
            StreamNote::Entry(EntryChange::FirstKeyframe { dropped_frames }) => {
                info!(room, dropped_frames; "video before the first keyframe dropped");
            }
            StreamNote::Entry(EntryChange::WithoutKeyframes) => {
                let waited_ms = self.settings.entry.keyframe_wait_ms;
                warn!(room, waited_ms; "no keyframe for too long: viewers who join start without one");
            }
            StreamNote::Entry(EntryChange::KeyframesAgain) => info!(room; "keyframes resumed"),
        }
    }
}

fn name(track: Track) -> &'static str {
    match track {
        Track::Audio => "audio",
        Track::Video => "video",
        Track::Data => "data",
    }
}
