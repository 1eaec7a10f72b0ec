//! Playlists over time, as a strict player reads them: one after each part and each segment.

use super::*;
use crate::hls::{
    container::Container,
    playlist::{Detail, OpenInfo, PartConfig, Playlist, PlaylistConfig, SegmentInfo, testing::PartPlaylist},
    segment::SegmentHead,
};

type Message = (Track, i64, Bytes);

/// A playlist that is filled as a server does, with all its texts.
struct Filled {
    playlist: Playlist,
    open: Option<OpenInfo>,
    init: Option<(u64, Bytes)>,
    parts_bytes: Vec<u8>,
    now_ms: u64,
    texts: Vec<String>,
}

impl Filled {
    fn new(part_ms: u32) -> Self {
        let playlist = Playlist::new(PlaylistConfig {
            format: Fmp4Container::FORMAT,
            window: 6,
            target_ms: 2_000,
            first_sequence: 7,
            first_discontinuity_sequence: 0,
            parts: Some(PartConfig::new(part_ms, None)),
        });
        Self { playlist, open: None, init: None, parts_bytes: Vec::new(), now_ms: 0, texts: Vec::new() }
    }

    /// Lists what a segmenter finished.
    fn take(&mut self, output: Output) {
        match output {
            Output::Part(part) => {
                let open = part.head.map(|head| self.open_info(&head)).or(self.open).unwrap();
                self.open = Some(open);
                self.parts_bytes.extend_from_slice(&part.bytes);
                self.playlist.push_part(open, part.part);
            }
            Output::Segment(segment) => self.segment(segment),
        }
        self.texts.extend(self.playlist.render("", Detail::Parts));
    }

    fn segment(&mut self, segment: Segment) {
        let Segment { first_ms, discontinuity, independent, init, parts, .. } = segment;
        let open = self.open_info(&SegmentHead { first_ms, discontinuity, independent, init });
        assert!(segment.bytes.starts_with(&self.parts_bytes), "a segment is the bytes of its parts");
        self.parts_bytes.clear();
        let listed = self.playlist.part_count();
        parts.iter().skip(listed).for_each(|part| self.playlist.push_part(open, *part));
        let info = SegmentInfo {
            sequence: self.playlist.next_sequence(),
            duration_ms: segment.duration_ms,
            discontinuity,
            independent,
            program_date_time_ms: open.program_date_time_ms,
            size_bytes: segment.bytes.len(),
            init: open.init,
        };
        self.now_ms += segment.duration_ms;
        self.playlist.push(info, self.now_ms).unwrap();
        self.open = None;
    }

    fn open_info(&mut self, head: &SegmentHead) -> OpenInfo {
        let bytes = head.init.as_ref().unwrap().bytes.clone();
        if self.init.as_ref().is_none_or(|(_, known)| *known != bytes) {
            self.init = Some((self.playlist.next_sequence(), bytes));
        }
        OpenInfo {
            discontinuity: head.discontinuity,
            independent: head.independent,
            program_date_time_ms: 1_795_384_800_000 + u64::try_from(head.first_ms).unwrap(),
            init: self.init.as_ref().map(|(sequence, _)| *sequence),
        }
    }
}

/// The texts of a stream that is cut into parts. `discontinuities`: where another publisher takes over.
fn texts(messages: &[Message], part_ms: u32, discontinuities: &[usize]) -> Vec<String> {
    let config = SegmenterConfig { part_ms: Some(part_ms), ..SegmenterConfig::default() };
    let mut segmenter = Segmenter::with_container(config, Fmp4Container::default(), BufferPool::new(1 << 20));
    let mut filled = Filled::new(part_ms);
    for (at, (track, time_ms, payload)) in messages.iter().enumerate() {
        if discontinuities.contains(&at) {
            segmenter.discontinuity();
        }
        segmenter.push(*track, *time_ms, payload).unwrap();
        std::iter::from_fn(|| segmenter.next_output()).for_each(|output| filled.take(output));
    }
    segmenter.finish();
    std::iter::from_fn(|| segmenter.next_output()).for_each(|output| filled.take(output));
    filled.playlist.end();
    filled.texts.extend(filled.playlist.render("", Detail::Parts));
    filled.texts
}

/// Reads each playlist, and each beside all that came before it. Returns them.
fn linted(messages: &[Message], discontinuities: &[usize]) -> Vec<PartPlaylist> {
    let texts = texts(messages, PART_MS, discontinuities);
    let playlists: Vec<_> = texts.iter().map(|text| PartPlaylist::parse(text)).collect();
    for (at, playlist) in playlists.iter().enumerate() {
        // A player that was away for a while, too.
        for earlier in [1, 5, 20].iter().filter_map(|back| at.checked_sub(*back)) {
            playlist.assert_follows(&playlists[earlier]);
        }
    }
    assert!(playlists.last().is_some_and(|last| last.ended));
    let seen_open = playlists.iter().filter(|playlist| playlist.edge().1 > 0).count();
    assert!(seen_open > 20, "parts were listed before their segments {seen_open} times");
    playlists
}

const LONG: Source = Source { length_ms: 30_000.0, ..SOURCE };

#[test]
fn at_all_frame_rates() {
    for frames_per_s in [6.0, 10.0, 15.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0] {
        for has_audio in [false, true] {
            linted(&Source { frame_ms: Some(1_000.0 / frames_per_s), has_audio, ..LONG }.messages(), &[]);
        }
    }
}

#[test]
fn of_audio_alone_and_beside_a_few_frames_a_second() {
    for frame_ms in [None, Some(1_000.0), Some(1_000.0 / 3.0), Some(200.0)] {
        linted(&Source { frame_ms, ..LONG }.messages(), &[]);
    }
}

#[test]
fn with_ten_seconds_between_keyframes() {
    let playlists = linted(&Source { gop_ms: 10_000.0, length_ms: 60_000.0, ..SOURCE }.messages(), &[]);
    assert!(playlists.iter().all(|playlist| playlist.target_ms == 10_000));
}

#[test]
fn at_a_frame_rate_that_varies() {
    let mut messages = LONG.messages();
    messages.retain(|(track, _, payload)| *track == Track::Audio || payload.len() < 100);
    // 15 to 60 frames a second, each second another, with a keyframe every two seconds.
    let mut next_ms = 0;
    for second in 0..30_i64 {
        let mut is_first = second % 2 == 0;
        while next_ms < (second + 1) * 1_000 {
            messages.push((Track::Video, next_ms, video(std::mem::take(&mut is_first))));
            next_ms += [66, 33, 16, 40][second as usize % 4];
        }
    }
    messages.sort_by_key(|(_, time_ms, _)| *time_ms);
    linted(&messages, &[]);
}

#[test]
fn of_one_publisher_after_another() {
    let (mut messages, other) =
        (LONG.messages(), Source { frame_ms: Some(1_000.0 / 30.0), ..LONG }.messages());
    let takeover = messages.len();
    messages.extend(other.into_iter().map(|(track, time_ms, payload)| (track, time_ms + 30_300, payload)));
    let playlists = linted(&messages, &[takeover]);
    let discontinuities =
        |playlist: &PartPlaylist| playlist.segments.iter().filter(|segment| segment.discontinuity).count();
    assert!(playlists.iter().any(|playlist| discontinuities(playlist) == 1));
    assert_eq!(playlists.last().map(|last| last.discontinuity_sequence), Some(1));
}

#[test]
fn with_another_header_on_the_way() {
    let mut messages = LONG.messages();
    let other: &[u8] =
        b"\x17\0\0\0\0\x01\x64\x00\x1F\xFF\xE1\x00\x04\x67\x64\x00\x28\x01\x00\x03\x68\xEB\xE3";
    let at = messages.iter().position(|(track, time_ms, _)| *track == Track::Video && *time_ms >= 15_100);
    messages.insert(at.unwrap(), (Track::Video, 15_100, Bytes::from_static(other)));
    // Frames behind a header need a keyframe.
    let playlists = linted(&messages, &[]);
    let inits = |playlist: &PartPlaylist| {
        playlist
            .segments
            .iter()
            .map(|segment| segment.init.clone())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert!(playlists.iter().any(|playlist| inits(playlist).len() == 2));
}

#[test]
fn parts_that_cannot_be_long_enough_are_in_no_playlist() {
    for (frames_per_s, part_ms) in [(24.0, 200), (5.0, 500)] {
        let source = Source { frame_ms: Some(1_000.0 / frames_per_s), has_audio: false, ..LONG };
        let texts = texts(&source.messages(), part_ms, &[]);
        assert!(texts.len() > 10);
        assert!(
            texts.iter().all(|text| !text.contains("PART") && !text.contains("PRELOAD")),
            "{frames_per_s}"
        );
    }
}
