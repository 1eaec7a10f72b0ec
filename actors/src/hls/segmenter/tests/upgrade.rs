//! A room whose node is upgraded while it is cut, beside one whose node is not.

use std::fs;

use synctv_media::{
    hls::{playlist::PartConfig, segment_name::SegmentName},
    upgrade::{Blobs, StateFile, decode},
};

use super::*;
use crate::hls::HlsState;

async fn bench(form: HlsForm) -> Bench {
    let storage = tempfile::tempdir().unwrap();
    let parts = Some(PartConfig::new(500, None));
    let settings = HlsSettings { parts, ..hls_settings(HlsMode::Always, storage.path()) };
    Bench::with(settings, form, storage).await
}

fn read_again(state: &HlsState, blobs: &Blobs) -> (HlsState, Blobs) {
    let file = StateFile::encode(state, blobs).unwrap();
    let bytes = file.parts().collect::<Vec<_>>().concat();
    decode(&bytes[..], bytes.len() as u64).unwrap()
}

impl Bench {
    /// The next process, which has the sessions but not the streams yet.
    async fn hand_over(&mut self) {
        let parked = self.hls.park(Instant::now() + Duration::from_secs(60)).await;
        assert!(parked.is_complete());
        let mut blobs = Blobs::default();
        let state = parked.state(&mut blobs);
        let (state, blobs) = read_again(&state, &blobs);
        self.hls = HlsSessions::start(self.settings.clone());
        if let Some(lock) = parked.lock().unwrap() {
            self.hls.adopt_storage(&state, lock);
        }
        self.hls.restore(state, &blobs).unwrap();
    }

    /// The same, and the stream is there.
    async fn upgrade(&mut self) {
        self.hand_over().await;
        let parked = self.hls.store.take_awaited(&room(), None).unwrap();
        self.segmenter = parked.resume(&self.hls.store, &self.stream);
        self.hls.end_restoring();
    }

    /// Its publisher is the same one.
    async fn publisher_is_back(&self) {
        let reserve = NumberReserve::unmanaged(HlsNumbers::default(), true);
        self.tell(StreamEvent::PublisherCame(Arrival::Local(reserve))).await;
    }

    /// Its publisher comes. Returns the first numbers of the session.
    async fn begin(&mut self) -> HlsNumbers {
        let first = self.session().await.unwrap().next_numbers();
        self.reserve = NumberReserve::unmanaged(first, true);
        self.publisher_comes().await;
        first
    }

    /// The playlist with parts.
    async fn low_latency(&self) -> Option<String> {
        let session = self.session().await.unwrap();
        let PlaylistState::Ready(listing) = session.playlist_state(Duration::ZERO).await else { return None };
        let text = listing.text(PlaylistAddress::LowLatency).unwrap().plain.clone();
        Some(String::from_utf8(text.into()).unwrap())
    }

    /// The bytes of all that a playlist names, by its name.
    fn pieces(&self, playlist: &str) -> Vec<(String, Bytes)> {
        let words = playlist.split(['"', '\n']);
        let names = words.filter_map(|word| Some((word.to_owned(), SegmentName::parse(word)?)));
        let pieces = names.filter_map(|(text, name)| {
            let piece = self.hls.piece(&to_play(room()), name)?;
            let bytes = match piece.segment().place().unwrap() {
                SegmentPlace::Memory(bytes) => bytes,
                SegmentPlace::File(path) => fs::read(path).unwrap().into(),
            };
            Some((text, bytes.slice(piece.range())))
        });
        pieces.collect()
    }
}

/// Numbers counted from the first one, and no dates: both are of the clock.
fn relative(text: &str, first: HlsNumbers) -> String {
    let (number, date) = ("#EXT-X-DISCONTINUITY-SEQUENCE:", "#EXT-X-PROGRAM-DATE-TIME:");
    let lines =
        text.lines().filter(|line| !line.starts_with(date)).map(|line| match line.strip_prefix(number) {
            Some(value) => format!("{number}{}", value.parse::<i64>().unwrap() - first.discontinuity as i64),
            None => (0..32).fold(line.to_owned(), |line, at| {
                line.replace(&(first.sequence + at).to_string(), &format!("+{at}"))
            }),
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[actix::test]
async fn playlists_segments_and_parts_go_on_as_if_nothing_had_happened() {
    for form in [HlsForm::Ts, HlsForm::Fmp4] {
        let (mut one, mut other) = (bench(form).await, bench(form).await);
        let firsts = [one.begin().await, other.begin().await];
        for count in [3, 40, 13, 30, 25, 1, 90, 130] {
            one.more_frames(count).await;
            other.more_frames(count).await;
            if count != 30 {
                other.hls.prepare_upgrade().await;
            }
            other.upgrade().await;
            let texts = (one.low_latency().await, other.low_latency().await);
            other.publisher_is_back().await;
            assert_eq!(texts.0.is_some(), texts.1.is_some());
            let (Some(expected), Some(playlist)) = texts else { continue };
            assert_eq!(relative(&playlist, firsts[1]), relative(&expected, firsts[0]));
            let bytes =
                |pieces: Vec<(String, Bytes)>| pieces.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
            let (expected, pieces) = (bytes(one.pieces(&expected)), bytes(other.pieces(&playlist)));
            assert!(pieces == expected && !pieces.is_empty());
        }
        let last = other.low_latency().await.unwrap();
        assert!(last.matches("#EXTINF").count() >= 6 && !last.contains("#EXT-X-DISCONTINUITY\n"));
        assert_eq!(last.contains("#EXT-X-PART:"), form == HlsForm::Fmp4);
    }
}

#[actix::test]
async fn files_stay_where_they_are_and_later_ones_are_put_beside_them() {
    let mut bench = bench(HlsForm::Ts).await;
    bench.hls.open_storage().await.unwrap();
    let first = bench.begin().await;
    bench.more_frames(60).await;
    bench.hls.prepare_upgrade().await;
    bench.upgrade().await;
    bench.hls.open_storage().await.unwrap();
    bench.publisher_is_back().await;
    bench.more_frames(60).await;
    bench.hls.prepare_upgrade().await;
    let directory = bench.settings.storage.join("room");
    for at in 0..2 {
        assert!(directory.join(segment_name(first.sequence + at).to_string()).exists());
    }
    assert_eq!(fs::read_dir(directory).unwrap().count(), 2);
    // Another process on the same HLS_STORAGE finds it taken.
    let other = HlsSessions::start(bench.settings.clone());
    other.open_storage().await.unwrap();
    assert!(bench.settings.storage.join("@2").exists());
    assert_eq!(bench.pieces(&bench.playlist().await).len(), 2);
}

#[actix::test]
async fn another_publisher_after_the_upgrade_is_a_discontinuity_of_the_same_playlist() {
    let mut bench = bench(HlsForm::Ts).await;
    let first = bench.begin().await;
    bench.more_frames(60).await;
    bench.upgrade().await;
    bench.reserve = NumberReserve::unmanaged_at(2, first, true);
    bench.publisher_comes().await;
    bench.frames(60).await;
    let playlist = bench.playlist().await;
    assert_eq!(durations(&playlist), ["1.000,", "1.400,", "2.000,"]);
    assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
}

#[actix::test]
async fn a_stream_that_does_not_come_back_ends_its_playlist() {
    pause();
    let mut bench = bench(HlsForm::Ts).await;
    bench.publisher_comes().await;
    bench.more_frames(60).await;
    bench.hand_over().await;
    let session = bench.session().await.unwrap();
    assert!(!text(&session).await.contains("#EXT-X-ENDLIST"));
    bench.hls.end_restoring();
    assert!(text(&session).await.ends_with("#EXT-X-ENDLIST\n"));
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert!(bench.session().await.is_none());
}

#[actix::test]
async fn an_ended_playlist_stays_for_the_rest_of_its_time() {
    pause();
    let mut bench = bench(HlsForm::Ts).await;
    bench.publisher_comes().await;
    bench.more_frames(60).await;
    bench.end().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    bench.hand_over().await;
    bench.hls.end_restoring();
    let session = bench.session().await.unwrap();
    assert!(text(&session).await.ends_with("#EXT-X-ENDLIST\n"));
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(bench.pieces(&text(&session).await).len(), 2);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(bench.session().await.is_none());
}

#[actix::test]
async fn a_refused_codec_stays_refused() {
    let mut bench = bench(HlsForm::Ts).await;
    bench.publisher_comes().await;
    let av1 = Frame { payload: Bytes::from_static(b"\x90av01x"), ..samples::video_header() };
    bench.send([av1, samples::keyframe(3_000)]).await;
    bench.upgrade().await;
    bench.publisher_is_back().await;
    let session = bench.session().await.unwrap();
    let state = session.playlist_state(Duration::ZERO).await;
    assert!(
        matches!(state, PlaylistState::Unsupported(unsupported) if unsupported.codec.to_string() == "av1")
    );
}

/// The process that was not replaced after all goes on with what it gave away.
#[actix::test]
async fn an_upgrade_that_is_given_up_changes_nothing() {
    let mut bench = bench(HlsForm::Fmp4).await;
    bench.publisher_comes().await;
    bench.more_frames(110).await;
    bench.hls.prepare_upgrade().await;
    let before = bench.low_latency().await.unwrap();
    let pieces = bench.pieces(&before);
    let parked = bench.hls.park(Instant::now() + Duration::from_secs(60)).await;
    let mut blobs = Blobs::default();
    let state = parked.state(&mut blobs);
    bench.hls.restore(state, &blobs).unwrap();
    drop(parked);
    let segmenter = bench.hls.store.take_awaited(&room(), None).unwrap();
    bench.segmenter = segmenter.resume(&bench.hls.store, &bench.stream);
    bench.publisher_is_back().await;
    assert_eq!((bench.low_latency().await, bench.pieces(&before)), (Some(before), pieces));
    bench.more_frames(60).await;
    let after = bench.playlist().await;
    assert_eq!(after.matches("#EXTINF").count(), 3);
    assert!(!after.contains("#EXT-X-DISCONTINUITY\n"));
}
