//! A stream that is cut by one process, and by several of which each goes on with the state of the one before: the bytes are the
//! same.

use std::fmt::Debug;

use proptest::prelude::*;

use super::*;
use crate::{
    hls::{
        container::Container,
        fmp4::container::Fmp4Container,
        playlist::{Detail, OpenInfo, PartConfig, Playlist, PlaylistConfig, PlaylistSnapshot, SegmentInfo},
        segment::{Output, SegmentHead},
        segmenter::SegmenterState,
        ts::container::TsContainer,
        wall_clock::WallClock,
    },
    upgrade::{Blobs, StateError, StateFile, decode},
};

const OPUS: &[u8] = b"\x90OpusOpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0";
const PARTS: PartConfig = PartConfig { target_ms: 500, hold_back_ms: 1_500 };
const UNIX_MS: i64 = 1_795_384_800_000;

#[derive(Debug, Clone)]
enum Event {
    Message(Message),
    /// The publisher left, and another one came.
    Publisher,
    Announce(AnnouncedTracks),
}

/// The results of one event.
#[derive(Debug, PartialEq)]
struct Outcome {
    read: Result<(), SegmentError>,
    outputs: Vec<(Output, u64)>,
    expired: Vec<u64>,
    texts: [Option<String>; 2],
    dropped_frames: u64,
}

/// A segmenter and its playlist.
struct Process<C: Container> {
    segmenter: Segmenter<C>,
    playlist: Playlist,
    wall_clock: WallClock,
    /// Of this process's clock.
    began_ms: u64,
    now_ms: u64,
}

type ProcessState<S> = (SegmenterState<S>, PlaylistSnapshot, WallClock);

impl<C: Container> Process<C> {
    fn first() -> Self {
        let config =
            SegmenterConfig { first_target_ms: 500, part_ms: Some(500), ..SegmenterConfig::default() };
        let playlist = PlaylistConfig {
            format: C::FORMAT,
            window: 3,
            target_ms: config.target_ms,
            first_sequence: 41,
            first_discontinuity_sequence: 7,
            parts: Some(PARTS).filter(|_| C::HAS_PARTS),
        };
        Self {
            segmenter: Segmenter::with_container(config, C::default(), BufferPool::new(1 << 20)),
            playlist: Playlist::new(playlist),
            wall_clock: WallClock::default(),
            began_ms: 0,
            now_ms: 0,
        }
    }

    /// The next process, whose clock began some time ago.
    fn upgraded(&self) -> Self {
        let mut blobs = Blobs::default();
        let playlist = self.playlist.snapshot(self.now_ms - self.began_ms);
        let state = (self.segmenter.state(&mut blobs), playlist, &self.wall_clock);
        let file = StateFile::encode(&state, &blobs).unwrap();
        let bytes = file.parts().collect::<Vec<_>>().concat();
        let (state, blobs) = decode::<ProcessState<C::State>>(&bytes[..], bytes.len() as u64).unwrap();
        let (segmenter, playlist, wall_clock) = state;
        let began_ms = self.now_ms / 2;
        Self {
            segmenter: Segmenter::restore(segmenter, BufferPool::new(1 << 20), &blobs).unwrap(),
            playlist: Playlist::restore(playlist, C::FORMAT, self.now_ms - began_ms).unwrap(),
            wall_clock,
            began_ms,
            now_ms: self.now_ms,
        }
    }

    fn take(&mut self, event: &Event) -> Outcome {
        let mut read = Ok(());
        match event {
            Event::Message((track, time_ms, payload)) => {
                self.now_ms = self.now_ms.max(time_ms.cast_unsigned());
                self.wall_clock.note(*time_ms, UNIX_MS + time_ms + time_ms % 700);
                read = self.segmenter.push(*track, *time_ms, payload);
            }
            Event::Publisher => {
                self.segmenter.discontinuity();
                self.wall_clock.restart();
            }
            Event::Announce(tracks) => self.segmenter.set_tracks(*tracks),
        }
        let mut outputs = Vec::new();
        while let Some(output) = self.segmenter.next_output() {
            outputs.push(self.list(output));
        }
        Outcome {
            read,
            outputs,
            expired: self.playlist.expired(self.now_ms - self.began_ms),
            texts: [Detail::Segments, Detail::Parts].map(|detail| self.playlist.render("", detail)),
            dropped_frames: self.segmenter.dropped_frames(),
        }
    }

    fn list(&mut self, output: Output) -> (Output, u64) {
        let first_ms = match &output {
            Output::Segment(segment) => Some(segment.first_ms),
            Output::Part(part) => part.head.as_ref().map(|head| head.first_ms),
        };
        let date_ms = first_ms.map_or(0, |first_ms| self.wall_clock.date_ms(first_ms));
        match &output {
            Output::Part(part) => {
                self.playlist.push_part(open_info(part.head.as_ref(), date_ms), part.part);
            }
            Output::Segment(segment) => {
                let info = SegmentInfo {
                    sequence: self.playlist.next_sequence(),
                    duration_ms: segment.duration_ms,
                    discontinuity: segment.discontinuity,
                    independent: segment.independent,
                    program_date_time_ms: date_ms,
                    size_bytes: segment.bytes.len(),
                    init: segment.init.as_ref().map(|init| init.bytes.len() as u64),
                };
                self.playlist.push(info, self.now_ms - self.began_ms).unwrap();
            }
        }
        (output, date_ms)
    }
}

fn open_info(head: Option<&SegmentHead>, program_date_time_ms: u64) -> OpenInfo {
    let (discontinuity, independent) =
        head.map_or((false, true), |head| (head.discontinuity, head.independent));
    OpenInfo { discontinuity, independent, program_date_time_ms, init: None }
}

/// Asserts that what processes put out is the same as without the upgrades, each of which comes before an event. Returns how many
/// outputs there were.
fn assert_same_over_upgrades<C: Container + Debug>(
    events: &[Event],
    is_upgrade: impl Fn(usize) -> bool,
) -> usize {
    let (mut only, mut one_of_many) = (Process::<C>::first(), Process::<C>::first());
    let mut count = 0;
    let end = [Event::Publisher];
    for (at, event) in events.iter().chain(&end).enumerate() {
        if is_upgrade(at) {
            one_of_many = one_of_many.upgraded();
        }
        let (expected, outcome) = (only.take(event), one_of_many.take(event));
        count += expected.outputs.len();
        assert!(outcome == expected, "differs at event {at}");
    }
    count
}

fn messages(messages: Vec<Message>) -> Vec<Event> {
    messages.into_iter().map(Event::Message).collect()
}

/// Some seconds of a stream.
#[derive(Debug, Clone)]
struct Stretch {
    before: Option<Event>,
    hole_ms: i64,
    length_ms: i64,
    headers: bool,
    /// Of a GOP and of a frame, and which sequence header.
    video: Option<(i64, i64, bool)>,
    audio: Option<AudioForm>,
    audio_ahead_ms: i64,
    composition_time_ms: [i32; 4],
}

#[derive(Debug, Clone, Copy)]
enum AudioForm {
    Aac44,
    Aac48,
    Mp3,
    Opus,
}

impl AudioForm {
    fn header(self) -> Option<&'static [u8]> {
        match self {
            Self::Aac44 => Some(AAC_44100),
            Self::Aac48 => Some(AAC_48000),
            Self::Mp3 => None,
            Self::Opus => Some(OPUS),
        }
    }

    fn frame(self, at_ms: i64) -> Bytes {
        let head: &[u8] = match self {
            Self::Aac44 | Self::Aac48 => b"\xAF\x01",
            Self::Mp3 => b"\x2F\xFF\xFB\x90\x64",
            Self::Opus => b"\x91Opus\x78",
        };
        [head, &at_ms.to_be_bytes()].concat().into()
    }
}

impl Stretch {
    /// Its events from a time on, and when it ends.
    fn events(&self, from_ms: i64) -> (Vec<Event>, i64) {
        let start_ms = from_ms + self.hole_ms;
        let source = Source { start_ms, composition_time_ms: self.composition_time_ms, ..SOURCE };
        let mut headers = Vec::new();
        let mut media = Vec::new();
        if let Some((gop_ms, frame_ms, is_other)) = self.video {
            headers.push((
                Track::Video,
                start_ms,
                Bytes::from_static(if is_other { OTHER_AVCC } else { AVCC }),
            ));
            let times_ms = (0..self.length_ms).step_by(frame_ms as usize);
            media.extend(times_ms.map(|at_ms| (at_ms, source.video_frame(at_ms, at_ms % gop_ms < frame_ms))));
        }
        if let Some(audio) = self.audio {
            headers.extend(audio.header().map(|header| (Track::Audio, start_ms, Bytes::from_static(header))));
            let times_ms = (0..self.length_ms).step_by(23);
            let message = |at_ms: i64| (Track::Audio, start_ms + at_ms, audio.frame(at_ms));
            media.extend(times_ms.map(|at_ms| (at_ms - self.audio_ahead_ms, message(at_ms))));
        }
        media.sort_by_key(|(sent_ms, _)| *sent_ms);
        headers.retain(|_| self.headers);
        let all = headers.into_iter().chain(media.into_iter().map(|(_, message)| message));
        let events = self.before.clone().into_iter().chain(all.map(Event::Message)).collect();
        (events, start_ms + self.length_ms)
    }
}

fn stretch() -> impl Strategy<Value = Stretch> {
    let announce = |video, audio| Event::Announce(AnnouncedTracks { video, audio });
    let before = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Event::Publisher)),
        1 => Just(Some(announce(true, true))),
        1 => Just(Some(announce(false, true))),
    ];
    let gop_ms = prop_oneof![Just(400), Just(1_000), Just(2_000), Just(60_000)];
    let frame_ms = prop_oneof![Just(33), Just(40), Just(120)];
    let video = proptest::option::weighted(0.8, (gop_ms, frame_ms, any::<bool>()));
    let audio = prop_oneof![
        3 => Just(AudioForm::Aac44),
        1 => Just(AudioForm::Aac48),
        1 => Just(AudioForm::Mp3),
        1 => Just(AudioForm::Opus),
    ];
    let hole_ms = prop_oneof![5 => Just(0), 1 => Just(1_500), 1 => Just(8_000), 1 => Just(15_000)];
    let composition_time_ms = prop_oneof![Just([0; 4]), Just([80, 200, 80, 0])];
    (
        before,
        hole_ms,
        100..3_500_i64,
        proptest::bool::weighted(0.8),
        video,
        proptest::option::weighted(0.8, audio),
        -900..900_i64,
        composition_time_ms,
    )
        .prop_map(
            |(before, hole_ms, length_ms, headers, video, audio, audio_ahead_ms, composition_time_ms)| {
                Stretch {
                    before,
                    hole_ms,
                    length_ms,
                    headers,
                    video,
                    audio,
                    audio_ahead_ms,
                    composition_time_ms,
                }
            },
        )
}

fn events(stretches: &[Stretch]) -> Vec<Event> {
    let (mut events, mut time_ms) = (Vec::new(), 0);
    for stretch in stretches {
        let (of_stretch, end_ms) = stretch.events(time_ms);
        events.extend(of_stretch);
        time_ms = end_ms;
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_is_the_same_bytes_over_upgrades_at_any_moment(
        stretches in proptest::collection::vec(stretch(), 1..7),
        upgrades in proptest::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let events = events(&stretches);
        let upgrades: Vec<_> = upgrades.iter().map(|at| at.index(events.len() + 1)).collect();
        assert_same_over_upgrades::<TsContainer>(&events, |at| upgrades.contains(&at));
        assert_same_over_upgrades::<Fmp4Container>(&events, |at| upgrades.contains(&at));
    }
}

/// An upgrade every few frames, so that each kind of moment is met: parts that were written, a GOP that is repeated, silence.
#[test]
fn a_pause_of_either_track_is_the_same_bytes_over_upgrades_in_all_of_it() {
    for track in [Track::Video, Track::Audio] {
        let source = Source {
            gop_ms: Some(1_000),
            composition_time_ms: [80, 200, 80, 0],
            length_ms: 14_000,
            ..SOURCE
        };
        let mut media = source.media();
        media.retain(|message| message.0 != track || !(4_480..9_480).contains(&message.1));
        let events = messages([source.headers(), media].concat());
        let segments = assert_same_over_upgrades::<TsContainer>(&events, |at| at % 17 == 0);
        let with_parts = assert_same_over_upgrades::<Fmp4Container>(&events, |at| at % 17 == 0);
        assert!(segments >= 7 && with_parts >= 30, "{segments} {with_parts}");
    }
}

#[test]
fn audio_that_is_held_until_it_is_clear_that_there_is_no_video_is_kept() {
    let source = Source { gop_ms: None, length_ms: 5_000, ..SOURCE };
    let events = messages(source.all());
    assert!(assert_same_over_upgrades::<TsContainer>(&events, |_| true) > 1);
}

#[test]
fn a_state_with_frames_that_its_segments_have_no_place_for_is_refused() {
    let mut process = Process::<TsContainer>::first();
    messages(Source { length_ms: 900, ..SOURCE }.all()).iter().for_each(|event| drop(process.take(event)));
    let mut blobs = Blobs::default();
    let (full, empty) = (process.segmenter, Process::<TsContainer>::first().segmenter);
    let swapped = [(&full, &empty), (&empty, &full)].map(|(segmenter, of_container)| {
        let mut state = segmenter.state(&mut blobs);
        state.container = of_container.state(&mut blobs).container;
        state
    });
    for state in swapped {
        let refused = Segmenter::<TsContainer>::restore(state, BufferPool::new(1 << 20), &blobs).map(drop);
        assert!(matches!(refused, Err(StateError::Invalid { .. })), "{refused:?}");
    }
    let state = full.state(&mut blobs);
    assert!(Segmenter::<TsContainer>::restore(state, BufferPool::new(1 << 20), &Blobs::default()).is_err());
}
