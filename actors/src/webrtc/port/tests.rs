use std::net::{Ipv4Addr, UdpSocket};

use bytes::Bytes;
use synctv_media::{samples::WEBRTC_OFFER, webrtc::peer::CheckKey};

use super::*;
use crate::{
    directory::StreamDirectory,
    events::Relocation,
    stream::Publication,
    testing::{ProbeHandle, node, opening, poll_until, room, settings, to_play, to_publish},
    webrtc::{Hosts, NewViewer, rooms::THREAD_VIEWERS_MAX},
};

const JOINING_MAX: usize = 3;

/// A port that does not run, and a stream on the test's thread.
struct Live {
    port: WebRtcPortActor,
    stream: StreamHandle,
    _publication: Publication,
    _directory: StreamDirectory,
    _publisher: ProbeHandle,
}

impl Live {
    async fn start() -> Self {
        let (directory, publisher) = (node(settings(), 10), ProbeHandle::start());
        let publication =
            directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, publisher.events()).await.unwrap();
        publication.send(opening(0)).await.unwrap();
        let stream = directory.open(&to_play(room("r"))).await.unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Another port than UDP's, which TCP may not have free.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let settings = WebRtcSettings {
            hosts: Hosts::Interfaces,
            viewers_max: 10,
            joining_max: JOINING_MAX,
            rtx_packets: 16,
            audio_kbps: 96,
        };
        let port = WebRtcPortActor::new(settings, WebRtcSocket::new(socket).unwrap(), listener);
        Self { port, stream, _publication: publication, _directory: directory, _publisher: publisher }
    }

    fn viewer_at(peer: &str) -> NewViewer {
        NewViewer { peer: peer.parse().unwrap(), offer: WEBRTC_OFFER.to_owned(), access: None }
    }
}

/// Asks for the numbers of viewers that join, and of their names.
#[derive(Message)]
#[rtype(result = "(usize, usize)")]
struct GetJoining;

impl Handler<GetJoining> for WebRtcPortActor {
    type Result = actix::MessageResult<GetJoining>;

    fn handle(&mut self, _: GetJoining, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult((self.joins.len(), self.routes.len()))
    }
}

fn watch(stream: &StreamHandle) -> Watch {
    watch_from("127.0.0.1:1", stream)
}

fn watch_from(peer: &str, stream: &StreamHandle) -> Watch {
    Watch { stream: stream.clone(), viewer: Live::viewer_at(peer), thread: ActorThread::current() }
}

/// A connectivity check of the viewer that got this answer.
fn check(answer: &str) -> Received {
    let value = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let key = CheckKey::of(value("a=ice-ufrag:"), value("a=ice-pwd:"));
    let remote = ([127, 0, 0, 1], 9).into();
    Received(vec![Datagram { remote, local: None, bytes: Bytes::from(key.check()), connection: None }])
}

/// Has a viewer join that does not connect, though it sends a check.
async fn join_with_check(
    port: &Addr<WebRtcPortActor>,
    peer: &str,
    stream: &StreamHandle,
) -> Result<SessionId, WatchError> {
    let Watching { id, answer } = port.send(watch_from(peer, stream)).await.unwrap()?;
    port.send(check(&answer)).await.unwrap();
    Ok(id)
}

#[actix_rt::test]
async fn the_tables_are_empty_when_the_stream_has_ended() {
    let Live { port, stream, _publication, _directory, _publisher } = Live::start().await;
    let port = Actor::start(port);
    let (first, second) = futures::join!(port.send(watch(&stream)), port.send(watch(&stream)));
    assert!(first.unwrap().is_ok() && second.unwrap().is_ok());
    assert_eq!(port.send(GetJoining).await.unwrap(), (2, 2));
    _directory.close().await.unwrap();
    poll_until(async || port.send(GetJoining).await.unwrap() == (0, 0)).await;
}

#[actix_rt::test]
async fn a_viewer_that_joins_can_leave_and_only_of_its_room() {
    let live = Live::start().await;
    let (port, stream) = (Actor::start(live.port), live.stream);
    let Watching { id, .. } = port.send(watch(&stream)).await.unwrap().unwrap();
    let find = async |name| port.send(FindSession { room: room(name), id }).await.unwrap();
    let end = async |name| port.send(EndSession { room: room(name), id }).await.unwrap();
    assert!(find("r").await && !find("other").await && !end("other").await);
    assert!(end("r").await && !find("r").await && !end("r").await);
    assert_eq!(port.send(GetJoining).await.unwrap(), (0, 0));
}

#[actix_rt::test]
async fn a_viewer_that_does_not_connect_is_forgotten_and_its_place_is_free() {
    let live = Live::start().await;
    let (port, stream) = (Actor::start(live.port), live.stream);
    tokio::time::pause();
    for _ in 0..JOINING_MAX {
        assert!(port.send(watch(&stream)).await.unwrap().is_ok());
    }
    let refused = port.send(watch(&stream)).await.unwrap();
    assert_eq!(refused, Err(WatchError::TooManyJoining { max: JOINING_MAX }));
    poll_until(async || port.send(GetJoining).await.unwrap() == (0, 0)).await;
    assert!(port.send(watch(&stream)).await.unwrap().is_ok());
}

#[actix_rt::test]
async fn a_join_that_nothing_comes_of_gives_its_place_to_another() {
    let live = Live::start().await;
    let (port, stream) = (Actor::start(live.port), live.stream);
    tokio::time::pause();
    let mut sessions = Vec::new();
    for _ in 0..JOINING_MAX {
        sessions.push(port.send(watch(&stream)).await.unwrap().unwrap().id);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(port.send(watch(&stream)).await.unwrap().is_ok());
    assert_eq!(port.send(GetJoining).await.unwrap(), (JOINING_MAX, JOINING_MAX));
    let find = async |id| port.send(FindSession { room: room("r"), id }).await.unwrap();
    assert!(!find(sessions[0]).await && find(sessions[1]).await, "the oldest");
}

#[actix_rt::test]
async fn an_address_with_many_joins_gives_places_to_others_until_all_have_as_many() {
    let live = Live::start().await;
    let (port, stream) = (Actor::start(live.port), live.stream);
    tokio::time::pause();
    let mut greedy = Vec::new();
    // One client has all addresses of its network.
    for peer in ["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1"] {
        greedy.push(join_with_check(&port, peer, &stream).await.unwrap());
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let refused = Err(WatchError::TooManyJoining { max: JOINING_MAX });
    assert_eq!(join_with_check(&port, "[2001:db8::4]:1", &stream).await, refused, "it has the most itself");
    let find = async |id| port.send(FindSession { room: room("r"), id }).await.unwrap();
    let first = join_with_check(&port, "192.0.2.1:1", &stream).await.unwrap();
    assert!(!find(greedy[0]).await && find(greedy[1]).await, "the oldest of that address ends");
    let second = join_with_check(&port, "192.0.2.2:1", &stream).await.unwrap();
    assert!(!find(greedy[1]).await && find(greedy[2]).await);
    // Each has one place: a rush from everywhere ends no handshake that is under way.
    assert_eq!(join_with_check(&port, "192.0.2.3:1", &stream).await, refused);
    assert!(find(greedy[2]).await && find(first).await && find(second).await);
    assert_eq!(port.send(GetJoining).await.unwrap(), (JOINING_MAX, JOINING_MAX));
}

#[actix_rt::test]
async fn an_offer_without_an_answer_ends_no_join() {
    let live = Live::start().await;
    let (port, stream) = (Actor::start(live.port), live.stream);
    let mut joins = Vec::new();
    for _ in 0..JOINING_MAX {
        joins.push(join_with_check(&port, "192.0.2.1:1", &stream).await.unwrap());
    }
    let mut unanswerable = watch_from("192.0.2.2:1", &stream);
    unanswerable.viewer.offer = "v=0".to_owned();
    assert!(matches!(port.send(unanswerable).await.unwrap(), Err(WatchError::Offer(_))));
    for id in joins {
        assert!(port.send(FindSession { room: room("r"), id }).await.unwrap());
    }
    assert!(join_with_check(&port, "192.0.2.2:1", &stream).await.is_ok());
}

#[actix_rt::test]
async fn an_address_with_many_joins_does_not_end_those_of_others_that_are_silent() {
    let live = Live::start().await;
    let (port, stream) = (Actor::start(live.port), live.stream);
    tokio::time::pause();
    let slow = port.send(watch_from("192.0.2.1:1", &stream)).await.unwrap().unwrap().id;
    for _ in 1..JOINING_MAX {
        join_with_check(&port, "192.0.2.2:1", &stream).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(join_with_check(&port, "192.0.2.2:1", &stream).await.is_err());
    assert!(port.send(FindSession { room: room("r"), id: slow }).await.unwrap());
}

#[actix_rt::test]
async fn viewers_that_wait_for_media_keep_no_others_from_joining() {
    let live = Live::start().await;
    let (port, stream) = (Actor::start(live.port), live.stream);
    let publisher = ProbeHandle::start();
    let grant = to_publish(room("mute"));
    let _mute = live._directory.publish(&grant, Relocation::AT_ONCE, publisher.events()).await.unwrap();
    let mute = live._directory.open(&to_play(room("mute"))).await.unwrap();
    (0..JOINING_MAX).for_each(|_| port.do_send(watch(&mute)));
    assert!(port.send(watch_from("192.0.2.1:1", &stream)).await.unwrap().is_ok());
}

#[actix_rt::test]
async fn a_second_thread_serves_those_who_are_too_many_for_the_first() {
    let Live { port, stream, _publication, _directory, _publisher } = Live::start().await;
    let (socket, port) = (port.socket.clone(), Actor::start(port));
    let reports = Port { ended: port.clone().recipient(), idle: port.recipient() };
    let (send, other) = oneshot::channel();
    let arbiter = Arbiter::new();
    arbiter.spawn_fn(move || send.send(ActorThread::current()).unwrap());
    let (other, mut rooms) = (other.await.unwrap(), Rooms::default());
    rooms.add_thread(other.clone());
    let admit = |rooms: &mut Rooms| {
        let start = |thread: &ActorThread| {
            let (socket, reports) = (socket.clone(), reports.clone());
            WebRtcViewersActor::start(&stream, thread, socket, reports, OpusRate::default())
        };
        rooms.admit(&stream, start).0
    };
    let home = (stream.id(), stream.thread().id());
    assert!((0..THREAD_VIEWERS_MAX).all(|_| admit(&mut rooms) == home));
    let away = (stream.id(), other.id());
    assert_eq!([admit(&mut rooms), admit(&mut rooms)], [away, away]);
    // A large room that becomes small comes together again.
    rooms.leave(home);
    assert_eq!(admit(&mut rooms), home);
    rooms.leave(away);
    assert!(!rooms.remove_idle(away));
    rooms.leave(away);
    assert!(rooms.remove_idle(away) && !rooms.remove_idle(home));
    arbiter.stop();
}
