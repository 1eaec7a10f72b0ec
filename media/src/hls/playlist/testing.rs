//! Checks a playlist with parts, and those that follow it, against the rules that players rely on
//! (draft-pantos-hls-rfc8216bis, sections 4.4 and 6.2). For tests: a broken rule panics with the text.

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
    /// The discontinuity number of the first segment.
    pub discontinuity_sequence: u64,
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
    /// It does not continue the segment before it.
    pub discontinuity: bool,
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
                "#EXT-X-VERSION" => {
                    assert!(value.parse::<u8>().expect(line) >= 6, "EXT-X-MAP needs 6: {text}")
                }
                "#EXT-X-DISCONTINUITY-SEQUENCE" => {
                    playlist.discontinuity_sequence = value.parse().expect("a number");
                }
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
                "#EXT-X-DISCONTINUITY" => {
                    assert!(segment.parts.is_empty(), "{text}");
                    segment.discontinuity = true;
                }
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
        self.segments.iter().for_each(|segment| segment.check(self.part_target_ms, text));
        let mut behind_ms = 0;
        for segment in finished().rev() {
            let (is_near, has_parts) = (behind_ms < 3 * self.target_ms, !segment.parts.is_empty());
            assert!(is_near == has_parts, "the last three target durations have parts, no others: {text}");
            behind_ms += segment.duration_ms;
        }
        let expected = self.next_part();
        assert!(self.hint.as_ref().is_none_or(|hint| *hint == expected), "{expected} comes next: {text}");
    }

    /// The name of the part behind the last one.
    fn next_part(&self) -> String {
        let (sequence, index) = self.edge();
        format!("part-{sequence}.{index}.m4s")
    }

    /// The rules between one playlist and a later one: what was said does not change, what was announced came.
    pub fn assert_follows(&self, earlier: &Self) {
        assert_eq!(self.part_target_ms, earlier.part_target_ms);
        assert_eq!(self.hold_back_ms, earlier.hold_back_ms);
        assert!(self.edge() >= earlier.edge() && self.sequence >= earlier.sequence);
        let before = earlier.named();
        for (uri, piece) in self.named() {
            assert!(before.get(uri).is_none_or(|before| *before == piece), "{uri} changed");
        }
        self.assert_hint_came(earlier);
        let left = usize::try_from(self.sequence - earlier.sequence).expect("a few segments");
        let counted = earlier.segments.iter().take(left).filter(|segment| segment.discontinuity).count();
        if left < earlier.segments.len() {
            let expected = earlier.discontinuity_sequence + counted as u64;
            assert_eq!(self.discontinuity_sequence, expected, "discontinuities that left are counted");
        }
    }

    /// The announced part is listed, unless its segment ended before it or has left the parts that are listed.
    fn assert_hint_came(&self, earlier: &Self) {
        let Some(hint) = &earlier.hint else { return };
        let (sequence, index) = earlier.edge();
        let at = usize::try_from(sequence - self.sequence.min(sequence)).expect("a few segments");
        let came = self.segments.get(at).filter(|segment| segment.parts.len() > index);
        assert!(came.is_none_or(|segment| segment.parts[index].uri == *hint), "{hint} was announced");
    }

    /// Segments and parts by their addresses, each with all its attributes.
    fn named(&self) -> BTreeMap<&str, (u64, bool, &str)> {
        let mut named = BTreeMap::new();
        for segment in &self.segments {
            let pieces = segment.parts.iter().map(|part| (&part.uri, part.duration_ms, part.independent));
            let whole = segment.uri.iter().map(|uri| (uri, segment.duration_ms, segment.discontinuity));
            for (uri, duration_ms, flag) in pieces.chain(whole) {
                let before = named.insert(uri.as_str(), (duration_ms, flag, segment.init.as_str()));
                assert!(before.is_none(), "{uri} is there twice");
            }
        }
        named
    }
}

impl PartedSegment {
    fn check(&self, part_target_ms: u64, text: &str) {
        assert!(self.parts.iter().all(|part| part.duration_ms <= part_target_ms), "{text}");
        let mut but_last = self.parts.iter().rev().skip(1);
        assert!(
            but_last.all(|part| part.duration_ms * 100 >= part_target_ms * 85),
            "a part is too short: {text}"
        );
        let sum: u64 = self.parts.iter().map(|part| part.duration_ms).sum();
        let is_whole = self.uri.is_none() || self.parts.is_empty() || sum == self.duration_ms;
        assert!(is_whole, "{sum} ms of parts: {text}");
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
