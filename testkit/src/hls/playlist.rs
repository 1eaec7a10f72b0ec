//! A media playlist (RFC 8216, section 4.3).

/// A playlist, as a player reads it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Playlist {
    /// EXT-X-TARGETDURATION.
    pub target_s: u64,
    /// EXT-X-MEDIA-SEQUENCE.
    pub sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE.
    pub discontinuity_sequence: u64,
    /// Whether there is an EXT-X-ENDLIST.
    pub ended: bool,
    /// The segments, oldest first.
    pub segments: Vec<Entry>,
}

/// A segment in a playlist.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its address, relative to the playlist's.
    pub uri: String,
    /// EXTINF.
    pub duration_ms: u64,
    /// Whether there is an EXT-X-DISCONTINUITY in front of it.
    pub discontinuity: bool,
}

impl Playlist {
    /// Parses a playlist; what is malformed panics with its line.
    pub fn parse(text: &str) -> Self {
        Self::try_parse(text).unwrap_or_else(|line| panic!("{line:?} in {text}"))
    }

    /// Parses a playlist. The error is the line that is malformed.
    pub fn try_parse(text: &str) -> Result<Self, String> {
        let mut playlist = Self::default();
        let mut entry = Entry::default();
        if !text.starts_with("#EXTM3U\n") {
            return Err(text.lines().next().unwrap_or_default().to_owned());
        }
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            let number = |digits: &str| digits.parse().map_err(|_| line.to_owned());
            match tag {
                "#EXT-X-TARGETDURATION" => playlist.target_s = number(value)?,
                "#EXT-X-MEDIA-SEQUENCE" => playlist.sequence = number(value)?,
                "#EXT-X-DISCONTINUITY-SEQUENCE" => playlist.discontinuity_sequence = number(value)?,
                "#EXT-X-DISCONTINUITY" => entry.discontinuity = true,
                // The server writes three decimals.
                "#EXTINF" => entry.duration_ms = number(&value.replace(['.', ','], ""))?,
                "#EXT-X-ENDLIST" => playlist.ended = true,
                _ if line.starts_with('#') => {}
                _ => {
                    entry.uri = line.to_owned();
                    playlist.segments.push(std::mem::take(&mut entry));
                }
            }
        }
        Ok(playlist)
    }

    /// Counts the discontinuities in front of listed segments.
    pub fn discontinuities(&self) -> usize {
        self.segments.iter().filter(|entry| entry.discontinuity).count()
    }

    /// Returns the segments with their sequence numbers, oldest first.
    pub fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> + ExactSizeIterator {
        self.segments.iter().enumerate().map(|(at, entry)| (self.sequence + at as u64, entry))
    }
}
