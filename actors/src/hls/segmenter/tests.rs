//! A segmenter that is sent what a stream would send it, with time under control.

mod continuation;
mod publishers;
mod upgrade;

use bytes::Bytes;
use synctv_media::{
    cluster::numbers::{HlsNumbers, RESERVE},
    hls::{fmp4::container::Fmp4Container, ts::check::TsChecker},
    samples,
    stream::{batcher::Batcher, frame::Frame, room::RoomName},
};
use tokio::time::{Instant, advance, pause};

use super::*;
use crate::hls::HlsSessions;
use crate::{
    events::{EndReason, Relocation},
    hls::{HlsMode, HlsSettings, PlaylistAddress, PlaylistState, SegmentPlace},
    stream::Publication,
    testing::{self, ProbeHandle, hls_settings, node, segment_name, to_play, to_publish},
};

/// A segmenter and the stream's side of it.
struct Bench {
    hls: HlsSessions,
    stream: StreamHandle,
    segmenter: Recipient<StreamEvent>,
    /// The numbers that the next publisher's claim comes with.
    reserve: NumberReserve,
    batcher: Batcher,
    /// Frames of video.
    sent: u32,
    form: HlsForm,
    settings: HlsSettings,
    _publication: Publication,
    _storage: tempfile::TempDir,
}

fn room() -> RoomName {
    testing::room("room")
}

impl Bench {
    async fn new(mode: HlsMode) -> Self {
        Self::start(mode, false).await
    }

    async fn start(mode: HlsMode, in_cluster: bool) -> Self {
        let storage = tempfile::tempdir().unwrap();
        let settings = HlsSettings { in_cluster, ..hls_settings(mode, storage.path()) };
        Self::with(settings, HlsForm::Ts, storage).await
    }

    async fn with(settings: HlsSettings, form: HlsForm, storage: tempfile::TempDir) -> Self {
        let hls = HlsSessions::start(settings.clone());
        let directory = node(testing::settings(), 1);
        let publication = directory
            .publish(&to_publish(room()), Relocation::AT_ONCE, ProbeHandle::start().events())
            .await
            .unwrap();
        let stream = directory.open(&to_play(room())).await.unwrap();
        Self {
            segmenter: start_segmenter(&hls, &stream, form).await,
            form,
            settings,
            hls,
            stream,
            reserve: NumberReserve::unmanaged(HlsNumbers::default(), true),
            batcher: Batcher::default(),
            sent: 0,
            _publication: publication,
            _storage: storage,
        }
    }

    async fn tell(&self, event: StreamEvent) {
        self.segmenter.send(event).await.unwrap();
    }

    async fn publisher_comes(&mut self) {
        self.batcher.end_publisher();
        self.tell(StreamEvent::PublisherCame(Arrival::Local(self.reserve.clone()))).await;
        self.reserve = NumberReserve::unmanaged(HlsNumbers::default(), true);
        self.send([samples::video_header()]).await;
    }

    /// Video at 25 frames a second, a keyframe each second.
    async fn frames(&mut self, count: u32) {
        let frame = |at: u32| match at % 25 {
            0 => samples::keyframe(at * 40),
            _ => samples::inter(at * 40),
        };
        self.send((0..count).map(frame).map(readable)).await;
    }

    /// The same behind those that were sent so.
    async fn more_frames(&mut self, count: u32) {
        let first = self.sent;
        self.sent += count;
        let frame = |at: u32| match at % 25 {
            0 => samples::keyframe(at * 40),
            _ => samples::inter(at * 40),
        };
        self.send((first..self.sent).map(frame).map(readable)).await;
    }

    async fn send(&mut self, frames: impl IntoIterator<Item = Frame>) {
        for frame in frames {
            self.batcher.push(frame).unwrap();
        }
        let (batches, after_gap) = (self.batcher.flush().into(), false);
        self.tell(StreamEvent::Media { batches, after_gap, received: Instant::now() }).await;
    }

    async fn end(&self) {
        self.tell(StreamEvent::End(EndReason::PublisherLeft)).await;
    }

    async fn session(&self) -> Option<Arc<HlsSession>> {
        let directory = node(testing::settings(), 1);
        self.hls.open(&directory, &to_play(room()), self.form, 0).await.unwrap()
    }

    async fn playlist(&self) -> String {
        text(&self.session().await.unwrap()).await
    }
}

/// A segmenter that has heard from the bench's stream of its publisher, who left.
async fn start_segmenter(hls: &HlsSessions, stream: &StreamHandle, form: HlsForm) -> Recipient<StreamEvent> {
    let (store, of_stream) = (hls.store.clone(), stream.clone());
    let segmenter = match form {
        HlsForm::Ts => SegmenterActor::<TsContainer>::start(store, of_stream, form, None),
        HlsForm::Fmp4 => SegmenterActor::<Fmp4Container>::start(store, of_stream, form, None),
    };
    // When the stream answers, the segmenter has its events.
    stream.stats().await.unwrap();
    segmenter.send(StreamEvent::PublisherLeft).await.unwrap();
    segmenter
}

async fn text(session: &HlsSession) -> String {
    match session.playlist_state(Duration::ZERO).await {
        PlaylistState::Ready(playlists) => {
            let text = playlists.text(PlaylistAddress::Index).unwrap().plain.clone();
            String::from_utf8(text.into()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// A frame with one NAL unit, as the container requires it.
fn readable(frame: Frame) -> Frame {
    let mut payload = frame.payload[..5].to_vec();
    let unit_type = if payload[0] == 0x17 { 0x65 } else { 0x41 };
    payload.extend_from_slice(&[0, 0, 0, 2, unit_type, 1]);
    Frame { payload: payload.into(), ..frame }
}

fn value(playlist: &str, tag: &str) -> u64 {
    let line = playlist.lines().find_map(|line| line.strip_prefix(tag)).unwrap();
    line.parse().unwrap()
}

fn durations(playlist: &str) -> Vec<&str> {
    playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:")).collect()
}

#[actix::test]
async fn the_first_segment_is_one_gop_and_the_rest_reach_the_target() {
    let mut bench = Bench::new(HlsMode::Always).await;
    bench.publisher_comes().await;
    let session = bench.session().await.unwrap();
    assert!(matches!(session.playlist_state(Duration::ZERO).await, PlaylistState::Pending));
    bench.frames(25 * 5 + 1).await;
    let playlist = bench.playlist().await;
    assert_eq!(durations(&playlist), ["1.000,", "2.000,", "2.000,"]);
    assert_eq!(value(&playlist, "#EXT-X-TARGETDURATION:"), 2);
    let mut checker = TsChecker::new();
    let first = value(&playlist, "#EXT-X-MEDIA-SEQUENCE:");
    for sequence in first..first + 3 {
        let Some(SegmentPlace::Memory(bytes)) =
            bench.hls.piece(&to_play(room()), segment_name(sequence)).unwrap().segment().place()
        else {
            panic!("the newest segments are in memory");
        };
        assert!(checker.segment(&bytes).unwrap().starts_with_keyframe);
    }
}

#[actix::test]
async fn a_request_that_waits_is_answered_by_the_first_segment() {
    let mut bench = Bench::new(HlsMode::Always).await;
    bench.publisher_comes().await;
    let session = bench.session().await.unwrap();
    let waiting = actix_rt::spawn(async move { session.playlist_state(Duration::from_secs(10)).await });
    bench.frames(26).await;
    assert!(matches!(waiting.await.unwrap(), PlaylistState::Ready(_)));
}

#[actix::test]
async fn batches_that_were_lost_are_a_discontinuity() {
    let mut bench = Bench::new(HlsMode::Always).await;
    bench.publisher_comes().await;
    bench.frames(60).await;
    bench.batcher.push(readable(samples::keyframe(4_000))).unwrap();
    let (batches, after_gap) = (bench.batcher.flush().into(), true);
    bench.tell(StreamEvent::Media { batches, after_gap, received: Instant::now() }).await;
    bench.send([readable(samples::keyframe(6_000))]).await;
    let playlist = bench.playlist().await;
    assert_eq!(durations(&playlist), ["1.000,", "1.400,", "2.000,"]);
    assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
}

#[actix::test]
async fn an_ended_playlist_says_so_and_goes_after_half_a_minute() {
    pause();
    let mut bench = Bench::new(HlsMode::Always).await;
    bench.publisher_comes().await;
    bench.frames(60).await;
    bench.end().await;
    let playlist = bench.playlist().await;
    assert!(playlist.ends_with("#EXT-X-ENDLIST\n"));
    let sequence = value(&playlist, "#EXT-X-MEDIA-SEQUENCE:");
    advance(Duration::from_secs(29)).await;
    actix_rt::task::yield_now().await;
    assert!(bench.hls.piece(&to_play(room()), segment_name(sequence)).is_some());
    let session = bench.session().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        bench.session().await.is_none()
            && bench.hls.piece(&to_play(room()), segment_name(sequence)).is_none()
    );
    assert!(matches!(session.playlist_state(Duration::ZERO).await, PlaylistState::Gone));
}

#[actix::test]
async fn a_codec_that_does_not_fit_is_named_until_another_publisher_comes() {
    let mut bench = Bench::new(HlsMode::Always).await;
    bench.publisher_comes().await;
    bench.frames(60).await;
    let av1 = Frame { payload: Bytes::from_static(b"\x90av01x"), ..samples::video_header() };
    bench.send([av1, samples::keyframe(3_000)]).await;
    let session = bench.session().await.unwrap();
    let PlaylistState::Unsupported(unsupported) = session.playlist_state(Duration::ZERO).await else {
        panic!()
    };
    assert_eq!(unsupported.codec.to_string(), "av1");
    assert_eq!(unsupported.to_string(), "HLS segments cannot carry av1");
    bench.publisher_comes().await;
    bench.frames(51).await;
    assert_eq!(durations(&bench.playlist().await).len(), 3);
}

#[actix::test]
async fn a_header_that_does_not_fit_is_refused_with_the_reason_until_a_segment_comes() {
    let quad = Frame {
        payload: b"\xAF\0\x12\0\x05\x04\x04\0\x21\x10\x0D".as_slice().into(),
        ..samples::audio_header()
    };
    let mut bench = Bench::new(HlsMode::Always).await;
    bench.batcher.end_publisher();
    bench.publisher_comes().await;
    bench.send([quad]).await;
    // As much as is held for the video that is announced.
    bench.send((0..140).map(|at| samples::audio(at * 23))).await;
    let session = bench.session().await.unwrap();
    let PlaylistState::Unsupported(unsupported) = session.playlist_state(Duration::ZERO).await else {
        panic!()
    };
    assert_eq!(
        unsupported.to_string(),
        "HLS segments cannot carry this aac: ADTS has no channel configuration for the layout in the program config element"
    );
    bench.send([samples::video_header()]).await;
    bench.frames(26).await;
    assert_eq!(durations(&bench.playlist().await), ["1.000,"]);
}

#[actix::test]
async fn an_unwatched_stream_is_not_cut_on_demand() {
    pause();
    let mut bench = Bench::new(HlsMode::OnDemand).await;
    bench.publisher_comes().await;
    bench.frames(60).await;
    let session = bench.session().await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert!(Arc::ptr_eq(&bench.session().await.unwrap(), &session), "someone asks");
    }
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert!(bench.session().await.is_none());
    assert!(!bench.segmenter.connected());
}

#[actix::test]
async fn a_segmenter_that_panics_leaves_no_playlist_to_wait_for() {
    let bench = Bench::new(HlsMode::Always).await;
    let session = bench.hls.store.begin(&room(), HlsForm::Ts);
    session.begin(bench.reserve.clone(), None);
    let segmenter = SegmenterActor {
        store: bench.hls.store.clone(),
        form: HlsForm::Ts,
        stream: bench.stream.clone(),
        subscription: None,
        held: None,
        past: Vec::new(),
        phase: SegmenterPhase::Cutting(session.clone()),
        segmenter: bench.hls.store.segmenter(TsContainer::default()),
        awaits_its_publisher: false,
        announced: None,
        wall_clock: WallClock::default(),
        warned_of_skew: false,
        unreadable_frames: 0,
        warned_of_cut: false,
    };
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _segmenter = segmenter;
        panic!("for a test");
    }));
    assert!(panicked.is_err());
    assert!(matches!(session.playlist_state(Duration::ZERO).await, PlaylistState::Gone));
    let other = bench.session().await;
    assert!(other.is_none_or(|other| !Arc::ptr_eq(&other, &session)), "it is no room's any more");
}
