//! Sets of audio and video.

use serde::{Deserialize, Serialize};

use crate::stream::frame::Track;

/// A set of audio and video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tracks {
    /// Audio is in it.
    pub audio: bool,
    /// Video is in it.
    pub video: bool,
}

impl Tracks {
    /// Both.
    pub const ALL: Self = Self { audio: true, video: true };

    /// Adds a track. Script data is part of every stream and makes no difference.
    pub fn insert(&mut self, track: Track) {
        match track {
            Track::Audio => self.audio = true,
            Track::Video => self.video = true,
            Track::Data => {}
        }
    }

    /// Returns whether a track is in it. Script data always is.
    pub fn contains(self, track: Track) -> bool {
        match track {
            Track::Audio => self.audio,
            Track::Video => self.video,
            Track::Data => true,
        }
    }

    /// The tracks that are in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { audio: self.audio || other.audio, video: self.video || other.video }
    }

    /// Returns whether every track of `other` is in this set.
    pub fn includes(self, other: Self) -> bool {
        self.union(other) == self
    }

    /// Returns whether there is neither.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUDIO: Tracks = Tracks { audio: true, video: false };
    const VIDEO: Tracks = Tracks { audio: false, video: true };

    #[test]
    fn sets_are_joined_and_compared() {
        assert_eq!(AUDIO.union(VIDEO), Tracks::ALL);
        assert!(Tracks::ALL.includes(AUDIO) && !AUDIO.includes(VIDEO) && AUDIO.includes(Tracks::default()));
        let mut tracks = Tracks::default();
        tracks.insert(Track::Data);
        assert!(tracks.is_empty() && tracks.contains(Track::Data));
        tracks.insert(Track::Video);
        assert_eq!(tracks, VIDEO);
    }
}
