//! All is on one thread and over loopback, where what was sent is there at once, so that the clock can be paused.

mod node;

use actix_rt::Arbiter;
use bytes::Bytes;
use futures::future::join_all;

use self::node::{Node, Reply};
use super::{
    upstream::{PLAYLIST_MAX_BYTES, REFUSAL_MAX_BYTES, REQUESTS_MAX},
    *,
};
use crate::{
    cluster::{origin::Origin, store::StoreError},
    hls::{FetchedMemory, SegmentPlace},
    testing::{Answers, FakeStore, node_keys, room, segment_name},
};

const PLAYLIST: &str = "#EXTM3U\nseg-7.ts\n";
const ENDED_PLAYLIST: &str = "#EXTM3U\nseg-7.ts\n#EXT-X-ENDLIST\n";

// It stays on the test's thread; a store is built where the registry runs, which is the same one.
thread_local! {
    static STORE: FakeStore = FakeStore::new();
}

/// Sets where the store has every room.
fn locate_at(located: Result<Option<Origin>, StoreError>) {
    STORE.with(|store| store.locate_at(located));
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn ok(body: &str) -> Reply {
    Reply::Answer(answer("200 OK", "ETag: \"8\"\r\n", body))
}

fn not_found() -> Reply {
    Reply::Answer(answer("404 Not Found", "Content-Type: application/json\r\n", "{}"))
}

fn proxy() -> HlsProxy {
    relay_with_cache(1 << 20)
}

fn relay_with_cache(cache_max_bytes: usize) -> HlsProxy {
    let arbiter = Arbiter::current();
    let registry =
        RegistryHandle::start_on(&arbiter, Duration::from_secs(60), || STORE.with(FakeStore::clone));
    let settings = HlsProxySettings { nodes: node_keys(), app: "live".to_owned() };
    HlsProxy::start_on(&arbiter, registry, settings, FetchedMemory::alone(cache_max_bytes))
}

fn playlist() -> HlsResource {
    HlsResource::Playlist { room: room("r"), address: PlaylistAddress::Index, request: None }
}

fn segment(sequence: u64) -> HlsResource {
    HlsResource::Segment { room: room("r"), name: segment_name(sequence) }
}

/// Goes on when what was remembered a moment ago is asked for anew.
async fn pass(time: Duration) {
    tokio::time::advance(time).await;
}

/// The text that a client would read.
fn said(outcome: Outcome) -> String {
    match outcome {
        Ok(Answer::Playlist(text)) => {
            format!("{} {}", text.tag, String::from_utf8_lossy(&text.plain))
        }
        Ok(Answer::Segment(segment)) => match segment.place() {
            Some(SegmentPlace::Memory(bytes)) => {
                format!("{} {}", segment.name().sequence, String::from_utf8_lossy(&bytes))
            }
            place => format!("{place:?}"),
        },
        Ok(Answer::Refused(refusal)) => refusal.status.to_string(),
        Ok(Answer::Nowhere) => "nowhere".to_owned(),
        Ok(Answer::Here { from_sequence }) => format!("here from {from_sequence}"),
        Ok(Answer::Past) => "past".to_owned(),
        Ok(Answer::HlsOff { node }) => format!("{node} has no HLS"),
        Err(HlsProxyError::Origin { node, .. }) => format!("{node} fails"),
        Err(error) => error.to_string(),
    }
}

#[actix_rt::test]
async fn fifty_who_ask_at_once_cause_one_request() {
    tokio::time::pause();
    let (node, proxy) = (Node::start(ok(PLAYLIST)).await, proxy());
    for (resource, expected) in [(playlist(), format!("8 {PLAYLIST}")), (segment(7), format!("7 {PLAYLIST}"))]
    {
        let before = node.requests();
        let answers = join_all((0..50).map(|_| proxy.fetch(resource.clone()))).await;
        assert!(answers.into_iter().all(|outcome| said(outcome) == expected));
        assert_eq!(node.requests(), before + 1);
    }
    let heads = node.heads.borrow().clone();
    assert!(heads[0].starts_with("get /live/r/index.m3u8 http/1.1\r\n"), "{}", heads[0]);
    assert!(heads[1].starts_with("get /live/r/seg-7.ts http/1.1\r\n"), "{}", heads[1]);
    assert!(heads.iter().all(|head| head.contains("\r\nsynctv-pull: n1;")));
}

#[actix_rt::test]
async fn a_playlist_is_remembered_for_a_moment_and_a_segment_for_longer() {
    tokio::time::pause();
    let (node, proxy) = (Node::start(ok(PLAYLIST)).await, proxy());
    for (resource, requests_before, requests_after) in [(playlist(), 1, 2), (segment(7), 3, 3)] {
        proxy.fetch(resource.clone()).await.unwrap();
        proxy.fetch(resource.clone()).await.unwrap();
        assert_eq!(node.requests(), requests_before);
        pass(Duration::from_millis(300)).await;
        proxy.fetch(resource).await.unwrap();
        assert_eq!(node.requests(), requests_after);
    }
    assert_eq!(node.connections.get(), 1, "it is kept for the next request");
}

#[actix_rt::test]
async fn segments_are_kept_up_to_a_number_of_bytes() {
    tokio::time::pause();
    let (node, proxy) = (Node::start(ok("0123456789")).await, relay_with_cache(25));
    for (sequence, requests) in [(1, 1), (2, 2), (1, 2), (3, 3), (2, 3), (1, 4)] {
        proxy.fetch(segment(sequence)).await.unwrap();
        assert_eq!(node.requests(), requests, "after segment {sequence}");
    }
}

#[actix_rt::test]
async fn a_refusal_is_passed_on_as_it_is() {
    tokio::time::pause();
    let proxy = proxy();
    let node = Node::start(Reply::Silence).await;
    for (at, status) in
        ["404 Not Found", "415 Unsupported Media Type", "503 Service Unavailable"].iter().enumerate()
    {
        let headers = "Content-Type: application/json\r\nRetry-After: 2\r\n";
        node.will(Reply::Answer(answer(status, headers, "{\"error\":\"x\"}")));
        let refusal = match proxy.fetch(segment(at as u64)).await {
            Ok(Answer::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        let expected = Refusal {
            status: status[..3].parse().unwrap(),
            content_type: "application/json".to_owned(),
            retry_after: Some("2".to_owned()),
            body: Bytes::from_static(b"{\"error\":\"x\"}"),
        };
        assert_eq!(*refusal, expected);
        assert_eq!(said(proxy.fetch(segment(at as u64)).await), status[..3]);
        assert_eq!(node.requests(), at + 1, "it is remembered for a moment");
    }
}

#[actix_rt::test]
async fn whatever_a_node_does_wrong_is_an_error_and_not_a_wait() {
    tokio::time::pause();
    let proxy = proxy();
    let node = Node::start(Reply::Silence).await;
    let half = answer("200 OK", "ETag: \"8\"\r\n", PLAYLIST);
    for (at, reply) in [
        Reply::BreakOff(String::new()),
        Reply::BreakOff(half[..half.len() - 3].to_owned()),
        Reply::BreakOff("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_owned()),
        Reply::BreakOff("hello\r\n\r\n".to_owned()),
        Reply::Answer(answer("500 Internal Server Error", "", "")),
        Reply::Answer(answer("302 Found", "Location: /\r\n", "")),
    ]
    .into_iter()
    .enumerate()
    {
        node.will(reply);
        assert_eq!(said(proxy.fetch(segment(at as u64)).await), "n2 fails", "{at}");
    }
    node.will(Reply::Answer(answer("200 OK", "", PLAYLIST)));
    assert_eq!(said(proxy.fetch(playlist()).await), "n2 fails", "a playlist without a tag");
}

#[actix_rt::test]
async fn a_node_that_says_nothing_is_waited_for_no_longer_than_it_may_take() {
    tokio::time::pause();
    let (node, proxy) = (Node::start(Reply::Silence).await, proxy());
    let mut heads = node.heads.clone();
    let asked = actix_rt::spawn({
        let proxy = proxy.clone();
        async move { (said(proxy.fetch(playlist()).await), said(proxy.fetch(segment(1)).await)) }
    });
    heads.wait_for(|heads| heads.len() == 1).await.unwrap();
    assert_eq!(asked.await.unwrap(), ("n2 fails".to_owned(), "n2 fails".to_owned()));
}

#[actix_rt::test]
async fn the_last_playlist_stands_in_for_a_node_that_died() {
    tokio::time::pause();
    let (node, proxy) = (Node::start(ok(PLAYLIST)).await, proxy());
    let live = said(proxy.fetch(playlist()).await);
    proxy.fetch(segment(7)).await.unwrap();
    node.die().await;
    pass(Duration::from_secs(1)).await;
    assert_eq!(said(proxy.fetch(playlist()).await), live);
    assert_eq!(said(proxy.fetch(segment(7)).await), format!("7 {PLAYLIST}"));
    assert_eq!(said(proxy.fetch(segment(8)).await), "n2 fails");
    let successor = Node::start(ok("#EXTM3U\nseg-9.ts\n")).await;
    pass(Duration::from_secs(1)).await;
    assert_eq!(said(proxy.fetch(playlist()).await), "8 #EXTM3U\nseg-9.ts\n");
    assert_eq!(successor.requests(), 1);
}

#[actix_rt::test]
async fn the_last_node_is_asked_until_its_playlist_has_expired() {
    tokio::time::pause();
    let (node, proxy) = (Node::start(ok(ENDED_PLAYLIST)).await, proxy());
    proxy.fetch(playlist()).await.unwrap();
    Node::unpublish();
    pass(Duration::from_secs(1)).await;
    assert_eq!(said(proxy.fetch(playlist()).await), format!("8 {ENDED_PLAYLIST}"));
    node.will(not_found());
    pass(Duration::from_secs(1)).await;
    assert_eq!(said(proxy.fetch(playlist()).await), "404");
    assert_eq!(node.requests(), 3);
    pass(Duration::from_secs(1)).await;
    assert_eq!(said(proxy.fetch(playlist()).await), "nowhere");
    assert_eq!(node.requests(), 3);
}

#[actix_rt::test]
async fn what_another_node_had_is_past_once_the_room_is_here() {
    tokio::time::pause();
    for had in [PLAYLIST, ENDED_PLAYLIST] {
        let (node, proxy) = (Node::start(ok(had)).await, proxy());
        proxy.fetch(playlist()).await.unwrap();
        proxy.forget(playlist());
        Node::unpublish();
        pass(Duration::from_secs(1)).await;
        assert_eq!(said(proxy.fetch(playlist()).await), "nowhere");
        assert_eq!(node.requests(), 1);
    }
}

#[actix_rt::test]
async fn a_room_of_this_node_is_forgotten_once_and_then_costs_no_message() {
    tokio::time::pause();
    let (_node, proxy) = (Node::start(ok(PLAYLIST)).await, proxy());
    let known = || proxy.known.0.load(Ordering::Relaxed);
    assert_eq!(known(), 0);
    proxy.fetch(playlist()).await.unwrap();
    assert!(known() > 0);
    proxy.forget(playlist());
    assert!(proxy.is_alive().await);
    assert_eq!(known(), 0);
}

#[actix_rt::test]
async fn a_node_without_hls_is_named_and_a_room_that_is_nowhere_is_not_and_neither_costs_a_request() {
    tokio::time::pause();
    let (node, proxy) = (Node::start(ok(PLAYLIST)).await, proxy());
    node.publish_at(None);
    assert_eq!(said(proxy.fetch(playlist()).await), "n2 has no HLS");
    Node::unpublish();
    pass(Duration::from_secs(1)).await;
    assert_eq!(said(proxy.fetch(playlist()).await), "nowhere");
    assert_eq!(node.requests(), 0);
}

#[actix_rt::test]
async fn what_is_live_stays_live_while_the_registry_cannot_say_where() {
    tokio::time::pause();
    let (node, proxy) = (Node::start(ok(PLAYLIST)).await, proxy());
    let live = said(proxy.fetch(playlist()).await);
    locate_at(Err(StoreError("no store".to_owned())));
    for (at, answers) in [Answers::AtOnce, Answers::Never].into_iter().enumerate() {
        STORE.with(|store| store.answer(answers));
        pass(Duration::from_secs(1)).await;
        assert_eq!(said(proxy.fetch(playlist()).await), live);
        assert_eq!(node.requests(), at + 2);
    }
    let never_seen =
        HlsResource::Playlist { room: room("other"), address: PlaylistAddress::Index, request: None };
    STORE.with(|store| store.answer(Answers::AtOnce));
    assert_eq!(proxy.fetch(never_seen).await.err(), Some(HlsProxyError::Registry));
}

#[actix_rt::test]
async fn requests_beyond_the_limit_are_refused_at_once() {
    tokio::time::pause();
    let (_node, proxy) = (Node::start(Reply::Silence).await, proxy());
    let crowd = actix_rt::spawn({
        let proxy = proxy.clone();
        async move { join_all((0..WAITERS_MAX).map(|_| proxy.fetch(playlist()))).await }
    });
    let busy = Ok(HlsProxyError::Busy.to_string());
    while tokio::time::timeout(Duration::from_millis(1), proxy.fetch(segment(1))).await.map(said) != busy {}
    assert_eq!(crowd.await.unwrap().len(), WAITERS_MAX);
    assert_eq!(said(proxy.fetch(segment(2)).await), "n2 fails", "there is room again");
}

#[actix_rt::test]
async fn requests_beyond_those_that_may_be_on_their_way_wait_for_their_turn_and_then_give_up() {
    let (node, proxy) = (Node::start(Reply::Silence).await, proxy());
    let mut heads = node.heads.clone();
    tokio::time::pause();
    // A request that is not answered takes 4 s of the 10 s that the others wait: three rounds have their turn.
    let all = actix_rt::spawn(async move {
        join_all((0..4 * REQUESTS_MAX as u64).map(|sequence| proxy.fetch(segment(sequence)))).await
    });
    heads.wait_for(|heads| heads.len() == REQUESTS_MAX).await.unwrap();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.requests(), REQUESTS_MAX, "the next ones wait");
    let said: Vec<_> = all.await.unwrap().into_iter().map(said).collect();
    let count = |text: &str| said.iter().filter(|said| *said == text).count();
    assert_eq!(count("n2 fails"), 3 * REQUESTS_MAX);
    assert_eq!(count(&HlsProxyError::Busy.to_string()), REQUESTS_MAX);
    assert_eq!(node.requests(), 3 * REQUESTS_MAX);
}

#[actix_rt::test]
async fn an_answer_that_is_too_large_is_an_error() {
    let (node, proxy) = (Node::start(Reply::Silence).await, proxy());
    let of = |size_bytes: usize| "x".repeat(size_bytes);
    let address = |at: usize| HlsResource::Playlist {
        room: room(&format!("r{at}")),
        address: PlaylistAddress::Index,
        request: None,
    };
    node.will(ok(&of(PLAYLIST_MAX_BYTES)));
    assert!(matches!(proxy.fetch(address(0)).await, Ok(Answer::Playlist(_))));
    node.will(ok(&of(PLAYLIST_MAX_BYTES + 1)));
    assert_eq!(said(proxy.fetch(address(1)).await), "n2 fails");
    node.will(Reply::Answer(answer("404 Not Found", "", &of(REFUSAL_MAX_BYTES))));
    assert_eq!(said(proxy.fetch(address(2)).await), "404");
    node.will(Reply::Answer(answer("404 Not Found", "", &of(REFUSAL_MAX_BYTES + 1))));
    assert_eq!(said(proxy.fetch(address(3)).await), "n2 fails");
}
