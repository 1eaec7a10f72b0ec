//! A playlist with parts, and the rules that players rely on (draft-pantos-hls-rfc8216bis, sections 4.4 and 6.2).

use std::collections::BTreeMap;

/// A playlist of Low-Latency HLS, as a player reads it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PartPlaylist {
    /// EXT-X-TARGETDURATION, in milliseconds.
    pub target_ms: u64,
    /// PART-TARGET, in milliseconds; 0 if there are no parts.
    pub part_target_ms: u64,
    /// PART-HOLD-BACK, in milliseconds.
    pub hold_back_ms: u64,
    /// `true` if there is an EXT-X-ENDLIST.
    pub ended: bool,
    /// The segments, oldest first. The last one is not finished, and has no address.
    pub segments: Vec<PartedSegment>,
    /// The number of the first segment.
    pub sequence: u64,
    /// The part that is named in advance.
    pub hint: Option<String>,
}

/// A segment with its parts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PartedSegment {
    /// Its address, if it is finished.
    pub uri: Option<String>,
    /// EXTINF.
    pub duration_ms: u64,
    /// The initialisation section that counts for it.
    pub init: String,
    /// Its parts that are listed.
    pub parts: Vec<ListedPart>,
    has_date: bool,
}

/// A part in a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    /// Its address.
    pub uri: String,
    /// Its duration.
    pub duration_ms: u64,
    /// A decoder can begin with it.
    pub independent: bool,
}

impl PartPlaylist {
    /// Parses a playlist; what breaks a rule panics with the text.
    pub fn parse(text: &str) -> Self {
        let mut playlist = Self::default();
        let mut segment = PartedSegment::default();
        assert!(text.starts_with("#EXTM3U\n"), "{text}");
        for line in text.lines().skip(1) {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-TARGETDURATION" => playlist.target_ms = milliseconds(value),
                "#EXT-X-MEDIA-SEQUENCE" => playlist.sequence = value.parse().expect("a number"),
                "#EXT-X-SERVER-CONTROL" => {
                    assert!(value.contains("CAN-BLOCK-RELOAD=YES"), "{line}");
                    playlist.hold_back_ms = milliseconds(attribute(value, "PART-HOLD-BACK").expect(line));
                }
                "#EXT-X-PART-INF" => {
                    playlist.part_target_ms = milliseconds(attribute(value, "PART-TARGET").expect(line));
                }
                "#EXT-X-MAP" => {
                    assert!(segment.parts.is_empty(), "the section comes before the parts: {text}");
                    segment.init = attribute(value, "URI").expect(line).to_owned();
                }
                "#EXT-X-DISCONTINUITY" => assert!(segment.parts.is_empty(), "{text}"),
                "#EXT-X-PROGRAM-DATE-TIME" => {
                    assert!(segment.parts.is_empty(), "the date comes before the parts: {text}");
                    segment.has_date = true;
                }
                "#EXT-X-PART" => segment.parts.push(ListedPart {
                    uri: attribute(value, "URI").expect(line).to_owned(),
                    duration_ms: milliseconds(attribute(value, "DURATION").expect(line)),
                    independent: attribute(value, "INDEPENDENT") == Some("YES"),
                }),
                "#EXTINF" => segment.duration_ms = milliseconds(value.trim_end_matches(',')),
                "#EXT-X-PRELOAD-HINT" => {
                    let uri = attribute(value, "URI").expect(line).to_owned();
                    assert!(playlist.hint.replace(uri).is_none(), "one hint: {text}");
                }
                "#EXT-X-ENDLIST" => playlist.ended = true,
                _ if line.starts_with('#') => {}
                _ => {
                    segment.uri = Some(line.to_owned());
                    let init = segment.init.clone();
                    playlist.segments.push(std::mem::take(&mut segment));
                    segment.init = init;
                }
            }
        }
        playlist.segments.push(segment);
        playlist.check(text);
        playlist
    }

    /// The number of the segment that is not finished, and of its parts: what the next request waits for.
    pub fn edge(&self) -> (u64, usize) {
        let finished = self.segments.len() as u64 - 1;
        (self.sequence + finished, self.segments.last().map_or(0, |open| open.parts.len()))
    }

    /// The rules of one playlist.
    fn check(&self, text: &str) {
        let finished = || self.segments.iter().filter(|segment| segment.uri.is_some());
        assert!(self.part_target_ms > 0 && self.hold_back_ms >= 2 * self.part_target_ms, "{text}");
        assert!(self.ended == self.hint.is_none(), "a live playlist has a hint: {text}");
        assert!(finished().all(|segment| segment.has_date && !segment.init.is_empty()), "{text}");
        assert!(finished().all(|segment| segment.duration_ms < self.target_ms + 500), "{text}");
        for segment in &self.segments {
            let parts = &segment.parts;
            assert!(parts.iter().all(|part| part.duration_ms <= self.part_target_ms), "{text}");
            let but_last = parts.iter().rev().skip(1);
            assert!(
                but_last.clone().all(|part| part.duration_ms * 100 >= self.part_target_ms * 85),
                "{text}"
            );
            let sum: u64 = parts.iter().map(|part| part.duration_ms).sum();
            let is_whole = segment.uri.is_none() || parts.is_empty() || sum == segment.duration_ms;
            assert!(is_whole, "{sum} ms of parts: {text}");
        }
        let newest: Vec<_> = finished().rev().take(3).collect();
        assert!(
            newest.iter().all(|segment| !segment.parts.is_empty()),
            "near the end there are parts: {text}"
        );
    }

    /// The rules between one playlist and a later one: nothing that was said changes.
    pub fn assert_follows(&self, earlier: &Self) {
        assert_eq!(self.part_target_ms, earlier.part_target_ms);
        assert_eq!(self.hold_back_ms, earlier.hold_back_ms);
        assert!(self.edge() >= earlier.edge());
        let named = |playlist: &Self| -> BTreeMap<String, ListedPart> {
            let parts = playlist.segments.iter().flat_map(|segment| segment.parts.clone());
            parts.map(|part| (part.uri.clone(), part)).collect()
        };
        let before = named(earlier);
        for (uri, part) in named(self) {
            assert!(before.get(&uri).is_none_or(|before| *before == part), "{uri} changed");
        }
    }
}

fn milliseconds(seconds: &str) -> u64 {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    whole.parse::<u64>().expect("seconds") * 1_000
        + format!("{fraction:0<3}").parse::<u64>().expect("a fraction")
}

fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    list.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| value.trim_matches('"'))
    })
}
