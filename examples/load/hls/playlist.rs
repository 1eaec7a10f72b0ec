//! A media playlist, as far as viewers go by it.

use std::time::Duration;

/// What it lists.
#[derive(Debug, PartialEq, Eq)]
pub struct Playlist {
    /// How often to look at it.
    pub target: Duration,
    first_sequence: u64,
    uris: Vec<String>,
}

impl Playlist {
    /// `None` if it is no playlist, or one without segments.
    pub fn parse(text: &str) -> Option<Self> {
        let mut playlist = Self { target: Duration::ZERO, first_sequence: 0, uris: Vec::new() };
        let lines = text.strip_prefix("#EXTM3U\n")?.lines();
        for line in lines.filter(|line| !line.is_empty()) {
            match line.split_once(':') {
                Some(("#EXT-X-TARGETDURATION", value)) => {
                    playlist.target = Duration::from_secs(value.parse().ok()?);
                }
                Some(("#EXT-X-MEDIA-SEQUENCE", value)) => playlist.first_sequence = value.parse().ok()?,
                _ if line.starts_with('#') => {}
                _ => playlist.uris.push(line.to_owned()),
            }
        }
        (!playlist.uris.is_empty() && !playlist.target.is_zero()).then_some(playlist)
    }

    /// Segments and their sequence numbers, oldest first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = (u64, &str)> + ExactSizeIterator {
        let segments = self.uris.iter().enumerate();
        segments.map(|(at, uri)| (self.first_sequence + at as u64, uri.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_numbered() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:2.0,\n7.ts\n#EXTINF:2.0,\n8.ts\n";
        let playlist = Playlist::parse(text).unwrap();
        assert_eq!(playlist.target, Duration::from_secs(2));
        assert!(playlist.segments().eq([(7, "7.ts"), (8, "8.ts")]));
        assert_eq!(Playlist::parse("{\"error\":\"room_not_live\"}"), None);
        assert_eq!(Playlist::parse("#EXTM3U\n#EXT-X-TARGETDURATION:2\n"), None);
    }
}
