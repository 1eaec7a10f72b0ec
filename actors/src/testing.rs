//! Helpers of the actors' tests: a node on one thread, whose clock can be paused, and a subscriber that records its
//! events.

mod fake_store;

use std::{path::Path, time::Duration};

use actix::{Actor, Addr, Context, Handler, Recipient};
use actix_rt::Arbiter;
use synctv_media::{
    access::Secrets,
    flv::tags,
    hls::{container::Container, segment_name::SegmentName, ts::container::TsContainer},
    samples,
    stream::{frame::Frame, gop::GopLimits, room::RoomName, video_entry::EntryLimits},
};
use tokio::{io::AsyncReadExt, net::TcpStream, sync::mpsc};

use crate::{
    access::{Grant, NodeKeys, ToPlay, ToPublish},
    cluster::{embedded_store::EmbeddedStore, registry::RegistryHandle, store::Store},
    directory::StreamDirectory,
    events::{
        EndReason, Flush, MAILBOX_MAX, PublisherEvent, PullSettings, StreamEvent, StreamSettings,
        SubscriberId, SubscriberRole, ViewerId,
    },
    hls::{HlsMode, HlsSessions, HlsSettings},
    stream::StreamHandle,
};

pub(crate) use self::fake_store::{Answers, FakeStore};

pub(crate) const GRACE: Duration = Duration::from_secs(10);
pub(crate) const PULL_GRACE: Duration = Duration::from_secs(30);
pub(crate) const LINGER: Duration = Duration::from_secs(20);

pub(crate) fn settings() -> StreamSettings {
    StreamSettings {
        gop: GopLimits { gops_max: 2, size_max_bytes: 1 << 20, window_ms: 1000 },
        entry: EntryLimits::default(),
        flush: Flush::EveryFrame,
        grace: GRACE,
        pull: PullSettings {
            nodes: node_keys(),
            linger: LINGER,
            grace: PULL_GRACE,
            frame_limit_bytes: 1 << 20,
        },
    }
}

/// Grants of a room, without a decision.
pub(crate) fn to_play(room: RoomName) -> Grant<ToPlay> {
    Grant::of(room)
}

/// Grants of a room, without a decision.
pub(crate) fn to_publish(room: RoomName) -> Grant<ToPublish> {
    Grant::of(room)
}

/// The keys of the node `n1`.
pub(crate) fn node_keys() -> NodeKeys {
    NodeKeys::new("n1", Secrets::parse(&"n".repeat(32)).unwrap())
}

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

pub(crate) fn segment_name(sequence: u64) -> SegmentName {
    SegmentName::whole(sequence, TsContainer::FORMAT)
}

/// A directory and its registry on the current thread.
pub(crate) fn node(settings: StreamSettings, rooms_max: usize) -> StreamDirectory {
    node_with(settings, rooms_max, || EmbeddedStore::new("n1".to_owned()))
}

pub(crate) fn node_with<S: Store>(
    settings: StreamSettings,
    rooms_max: usize,
    store: impl FnOnce() -> S + Send + 'static,
) -> StreamDirectory {
    node_with_hls(settings, rooms_max, store, None)
}

pub(crate) fn node_with_hls<S: Store>(
    settings: StreamSettings,
    rooms_max: usize,
    store: impl FnOnce() -> S + Send + 'static,
    hls: Option<HlsSessions>,
) -> StreamDirectory {
    let registry = RegistryHandle::start_on(&Arbiter::current(), Duration::from_secs(60), store);
    StreamDirectory::start(settings, registry, rooms_max, hls.and_then(|hls| hls.observer()))
}

/// An event that a [`Probe`] received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Got {
    /// Live tags: type and time in milliseconds.
    Media {
        after_gap: bool,
        tags: Vec<(u8, u32)>,
    },
    /// Cached tags for a viewer who joined.
    Join {
        viewer: u64,
        tags: Vec<(u8, u32)>,
    },
    End(EndReason),
    PublisherEvent(PublisherEvent),
}

/// An actor that receives a stream's and a publisher's events and hands them to a test.
pub(crate) struct Probe {
    got: mpsc::UnboundedSender<Got>,
}

pub(crate) struct ProbeHandle {
    pub id: SubscriberId,
    pub address: Addr<Probe>,
    got: mpsc::UnboundedReceiver<Got>,
}

impl ProbeHandle {
    pub fn start() -> Self {
        let (sender, got) = mpsc::unbounded_channel();
        let address = Probe { got: sender }.start();
        Self { id: SubscriberId::unique(), address, got }
    }

    pub fn events(&self) -> Recipient<PublisherEvent> {
        self.address.clone().recipient()
    }

    pub fn join(&self, stream: &StreamHandle, viewer: u64) {
        stream.join(self.id, SubscriberRole::Viewers, ViewerId(viewer), self.address.clone().recipient());
    }

    pub async fn next(&mut self) -> Got {
        self.got.recv().await.expect("the probe has ended")
    }

    pub fn try_next(&mut self) -> Option<Got> {
        self.got.try_recv().ok()
    }

    /// Nothing more came, and everything sent so far was handled.
    pub async fn is_quiet(&mut self) -> bool {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.try_next().is_none()
    }
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
    }
}

impl Handler<StreamEvent> for Probe {
    type Result = ();

    fn handle(&mut self, event: StreamEvent, _: &mut Self::Context) {
        let seen = |flv: &[u8]| tags(flv).map(|tag| (tag.type_id, tag.timestamp_ms)).collect::<Vec<_>>();
        let got = match event {
            StreamEvent::Media { batches, after_gap, .. } => {
                Got::Media { after_gap, tags: batches.iter().flat_map(|batch| seen(batch.flv())).collect() }
            }
            StreamEvent::Join { viewer, point } => Got::Join {
                viewer: viewer.0,
                tags: point.batches.iter().flat_map(|batch| seen(batch.flv())).collect(),
            },
            StreamEvent::PublisherCame(_) | StreamEvent::PublisherLeft | StreamEvent::LeaveWithin(_) => {
                return;
            }
            StreamEvent::End(reason) => Got::End(reason),
        };
        let _ = self.got.send(got);
    }
}

impl Handler<PublisherEvent> for Probe {
    type Result = ();

    fn handle(&mut self, notice: PublisherEvent, _: &mut Self::Context) {
        let _ = self.got.send(Got::PublisherEvent(notice));
    }
}

/// A stream without audio: headers, then a keyframe at `at_ms`.
pub(crate) fn opening(at_ms: u32) -> Vec<Frame> {
    vec![samples::metadata(true, false), samples::video_header(), samples::keyframe(at_ms)]
}

/// HLS with segments of two seconds in `storage`.
pub(crate) fn hls_settings(mode: HlsMode, storage: &Path) -> HlsSettings {
    HlsSettings {
        in_cluster: false,
        mode,
        fmp4: Some(HlsMode::OnDemand),
        parts: None,
        target_ms: 2_000,
        window: 6,
        storage: storage.to_owned(),
        memory_max_bytes: 1 << 20,
        keep_ended: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(60),
    }
}

/// Time limit for events on a clock that runs. Only a failing test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until it is so. Only for the state of another process or thread, which nothing announces.
pub(crate) async fn poll_until(mut is_so: impl AsyncFnMut() -> bool) {
    let polled = tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    polled.await.expect("it happens");
}

/// Reads the head of a request; `None` if the connection ends before it does.
pub(crate) async fn request_head(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).expect("a head is text"))
}
