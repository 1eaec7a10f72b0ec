//! Warnings about media that viewers of a stream miss.

use log::warn;
use synctv_media::{
    stream::room::RoomName,
    webrtc::{packetizer::Packetizer, playability::Limit},
};

/// The warnings about one publisher that were logged already.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    video: bool,
    audio: bool,
}

impl Warnings {
    /// Logs the media that viewers miss, once for each track.
    pub fn log_once(&mut self, room: &RoomName, packetizer: &Packetizer) {
        let room = room.as_str();
        if let (false, Some(why)) = (self.audio, packetizer.why_no_audio()) {
            warn!(room = room, why:% = why; "WebRTC viewers get no audio");
            self.audio = true;
        }
        if self.video {
            return;
        }
        if let Err(unplayable) = packetizer.profile() {
            warn!(room = room, why:% = unplayable; "stream cannot be watched over WebRTC");
            self.video = true;
        } else if packetizer.drops_frames() {
            warn!(room = room, why:% = Limit::FramesDropped; "WebRTC viewers get fewer frames");
            self.video = true;
        }
    }
}
