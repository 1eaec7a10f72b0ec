use std::net::{Ipv4Addr, UdpSocket};

use synctv_media::samples::WEBRTC_OFFER;

use super::*;
use crate::{
    directory::StreamDirectory,
    events::{EndReason, Relocation, StreamEvent},
    stream::Publication,
    testing::{ProbeHandle, node, opening, poll_until, room, settings, to_play, to_publish},
    webrtc::{Hosts, NewViewer},
};

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
            joining_max: 10,
            rtx_packets: 16,
            audio_kbps: 96,
        };
        let port = WebRtcPortActor::new(settings, WebRtcSocket::new(socket).unwrap(), listener);
        Self { port, stream, _publication: publication, _directory: directory, _publisher: publisher }
    }

    fn viewer() -> NewViewer {
        NewViewer { peer: ([127, 0, 0, 1], 1).into(), offer: WEBRTC_OFFER.to_owned(), access: None }
    }
}

/// Takes the reports of viewers' actors, and does nothing with them.
struct Deaf;

impl Actor for Deaf {
    type Context = Context<Self>;
}

impl Handler<SessionEnded> for Deaf {
    type Result = ();

    fn handle(&mut self, _: SessionEnded, _: &mut Self::Context) {}
}

impl Handler<ViewersIdle> for Deaf {
    type Result = ();

    fn handle(&mut self, _: ViewersIdle, _: &mut Self::Context) {}
}

/// An actor of a stream whose reports are lost, as those of one that panics may be.
fn viewers_of(port: &WebRtcPortActor, stream: &StreamHandle) -> Addr<WebRtcViewersActor> {
    let deaf = Deaf.start();
    let reports = Port { ended: deaf.clone().recipient(), idle: deaf.recipient() };
    WebRtcViewersActor::start(stream, port.socket.clone(), reports, OpusRate::default())
}

/// Asks for the numbers of sessions and of their names.
#[derive(Message)]
#[rtype(result = "(usize, usize)")]
struct Kept;

impl Handler<Kept> for WebRtcPortActor {
    type Result = actix::MessageResult<Kept>;

    fn handle(&mut self, _: Kept, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult((self.sessions.len(), self.routes.len()))
    }
}

fn accepted() -> Accepted {
    Accepted { ufrag: "name".to_owned(), answer: String::new() }
}

#[actix_rt::test]
async fn a_session_that_ends_before_its_answer_comes_is_not_routed() {
    let mut live = Live::start().await;
    let (port, stream) = (&mut live.port, &live.stream);
    let viewers = viewers_of(port, stream);
    let id = SessionId::random().unwrap();
    port.sessions.insert(id, Session { room: room("r"), viewers });
    port.remove(id);
    assert_eq!(port.admitted(id, Ok(accepted())), Err(WatchError::Ended));
    assert_eq!((port.sessions.len(), port.routes.len()), (0, 0));
}

#[actix_rt::test]
async fn a_session_of_an_actor_that_ended_without_a_word_is_removed() {
    let mut live = Live::start().await;
    let (port, stream) = (&mut live.port, &live.stream);
    let viewers = viewers_of(port, stream);
    let id = SessionId::random().unwrap();
    port.sessions.insert(id, Session { room: room("r"), viewers: viewers.clone() });
    assert!(port.admitted(id, Ok(accepted())).is_ok());
    port.remove_orphans();
    assert_eq!((port.sessions.len(), port.routes.len()), (1, 1), "it is no orphan yet");
    viewers.do_send(StreamEvent::End(EndReason::PublisherLeft));
    poll_until(async || !viewers.connected()).await;
    port.remove_orphans();
    assert_eq!((port.sessions.len(), port.routes.len()), (0, 0));
}

#[actix_rt::test]
async fn the_tables_are_empty_when_the_stream_has_ended() {
    let Live { port, stream, _publication, _directory, _publisher } = Live::start().await;
    let port = Actor::start(port);
    let watch = || Watch { stream: stream.clone(), viewer: Live::viewer() };
    let (first, second) = futures::join!(port.send(watch()), port.send(watch()));
    assert!(first.unwrap().is_ok() && second.unwrap().is_ok());
    assert_eq!(port.send(Kept).await.unwrap(), (2, 2));
    _directory.close().await.unwrap();
    poll_until(async || port.send(Kept).await.unwrap() == (0, 0)).await;
}
