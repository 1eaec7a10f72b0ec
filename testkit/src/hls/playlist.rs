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
    /// `true` if there is an EXT-X-ENDLIST.
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
    /// `true` if an EXT-X-DISCONTINUITY precedes it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_numbered_and_what_is_no_playlist_is_named() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:2.000,\n7.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:1.500,\n8.ts\n";
        let playlist = Playlist::parse(text);
        let [first, second] =
            [("7.ts", 2_000, false), ("8.ts", 1_500, true)].map(|(uri, duration_ms, discontinuity)| Entry {
                uri: uri.to_owned(),
                duration_ms,
                discontinuity,
            });
        assert!(playlist.numbered().eq([(7, &first), (8, &second)]));
        assert_eq!((playlist.target_s, playlist.discontinuities(), playlist.ended), (2, 1, false));
        assert_eq!(Playlist::try_parse("{\"error\":\"x\"}"), Err("{\"error\":\"x\"}".to_owned()));
        let wrong = "#EXT-X-MEDIA-SEQUENCE:x";
        assert_eq!(Playlist::try_parse(&format!("#EXTM3U\n{wrong}\n")), Err(wrong.to_owned()));
    }
}
