//! A room that comes from another node, with that node's answers under control.

use actix::ResponseFuture;
use synctv_media::hls::segment_name::SegmentName;
use tokio::sync::watch;

use super::*;
use crate::hls::window::{FetchPieces, FetchWindow, FoundWindow, Windows};

/// The numbers that come with the claim, above all that the node that had the room has reserved.
const GRANTED: HlsNumbers = HlsNumbers { sequence: 1 << 40, discontinuity: 1 << 40 };

/// The way to the node that had the room, which answers once it may.
struct Way {
    hls: HlsSessions,
    may_answer: watch::Receiver<bool>,
}

impl Actor for Way {
    type Context = Context<Self>;
}

impl Handler<FetchWindow> for Way {
    type Result = ResponseFuture<Option<FoundWindow>>;

    fn handle(&mut self, fetch: FetchWindow, _: &mut Self::Context) -> Self::Result {
        let (hls, mut may_answer) = (self.hls.clone(), self.may_answer.clone());
        Box::pin(async move {
            may_answer.wait_for(|may_answer| *may_answer).await.ok()?;
            let window = hls.give_window(&to_play(fetch.room), fetch.form, fetch.epoch).await?;
            Some(FoundWindow { window, address: "other:3".to_owned() })
        })
    }
}

impl Handler<FetchPieces> for Way {
    type Result = Vec<(SegmentName, Bytes)>;

    fn handle(&mut self, fetch: FetchPieces, _: &mut Self::Context) -> Self::Result {
        let piece = |name| Some((name, bytes(&self.hls, &fetch.room, name)?));
        fetch.names.into_iter().filter_map(piece).collect()
    }
}

fn bytes(hls: &HlsSessions, room: &RoomName, name: SegmentName) -> Option<Bytes> {
    hls.piece(&to_play(room.clone()), name)?.segment().bytes()
}

/// The former node of a room, whose publisher sent this much and left, and the node that takes the room over.
async fn moved(frame_count: u32) -> (Bench, Bench, watch::Sender<bool>) {
    let mut before = Bench::start(HlsMode::Always, true).await;
    before.publisher_comes().await;
    before.frames(frame_count).await;
    before.tell(StreamEvent::PublisherLeft).await;
    let mut after = Bench::start(HlsMode::Always, true).await;
    after.reserve = NumberReserve::unmanaged_at(2, GRANTED, false);
    let (answers, may_answer) = watch::channel(false);
    let way = Way { hls: before.hls.clone(), may_answer }.start();
    after.hls.set_windows(Windows { windows: way.clone().recipient(), pieces: way.recipient() });
    (before, after, answers)
}

async fn first_playlist(bench: &Bench) -> String {
    let session = bench.session().await.unwrap();
    session.playlist_state(Duration::from_secs(20)).await;
    text(&session).await
}

#[actix::test]
async fn its_playlist_goes_on_and_nothing_is_listed_before_it_is_known_where() {
    let (before, mut after, answers) = moved(60).await;
    let old = before.playlist().await;
    after.publisher_comes().await;
    after.frames(60).await;
    let session = after.session().await.unwrap();
    assert!(matches!(session.playlist_state(Duration::ZERO).await, PlaylistState::Pending));
    answers.send(true).unwrap();
    let new = first_playlist(&after).await;
    assert!(new.starts_with(&old), "{old}{new}");
    assert_eq!(durations(&new).len(), durations(&old).len() + 1);
    assert_eq!(new.matches("#EXT-X-DISCONTINUITY\n").count(), 2, "{new}");
    let first = value(&new, "#EXT-X-MEDIA-SEQUENCE:");
    for sequence in first..first + 2 {
        let of = |bench: &Bench| bytes(&bench.hls, &room(), segment_name(sequence));
        while of(&after).is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(of(&after), of(&before), "{sequence}");
    }
    assert!(session.reaches(GRANTED.sequence), "it is not outdated, though its numbers are lower");
}

#[actix::test]
async fn the_node_that_had_it_lists_nothing_more_and_gives_its_window_to_no_earlier_claim() {
    let (mut before, mut after, answers) = moved(60).await;
    let grant = to_play(room());
    assert_eq!(before.hls.give_window(&grant, HlsForm::Ts, 1).await, None, "it has that claim itself");
    answers.send(true).unwrap();
    after.publisher_comes().await;
    first_playlist(&after).await;
    let old = before.playlist().await;
    before.reserve = NumberReserve::unmanaged_at(3, GRANTED.plus(RESERVE), false);
    before.publisher_comes().await;
    before.frames(60).await;
    let new = before.playlist().await;
    assert!(value(&new, "#EXT-X-MEDIA-SEQUENCE:") > value(&old, "#EXT-X-MEDIA-SEQUENCE:") + RESERVE);
    assert_eq!(before.hls.give_window(&grant, HlsForm::Ts, 2).await, None, "a claim that came too late");
}

#[actix::test]
async fn without_an_answer_it_begins_above_the_reserve() {
    let (before, mut after, answers) = moved(0).await;
    answers.send(true).unwrap();
    after.publisher_comes().await;
    after.frames(60).await;
    let playlist = first_playlist(&after).await;
    assert_eq!(value(&playlist, "#EXT-X-MEDIA-SEQUENCE:"), GRANTED.sequence);
    drop(before);
}
