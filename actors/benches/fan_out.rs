//! The cost of a frame for each of a stream's subscribers, from the publisher to their actors, on one thread and without
//! sockets.
//!
//! ```text
//! cargo bench -p synctv-actors --bench fan_out
//! ```

use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};

use actix::{Actor, Addr, Context, Handler};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use synctv_actors::{
    access::{AccessRequest, AccessSettings, Gatekeeper, NodeKeys},
    cluster::{embedded_store::EmbeddedStore, registry::RegistryHandle},
    directory::StreamDirectory,
    events::{
        Flush, PublisherEvent, PullSettings, Relocation, StreamEvent, StreamSettings, SubscriberId,
        SubscriberRole, ViewerId,
    },
    stream::Publication,
};
use synctv_media::{
    samples,
    stream::{gop::GopLimits, room::RoomName, video_entry::EntryLimits},
};

const NODE: &str = "bench";

/// Counts what it gets.
struct Subscriber(Rc<Cell<usize>>);

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<StreamEvent> for Subscriber {
    type Result = ();

    fn handle(&mut self, event: StreamEvent, _: &mut Self::Context) {
        if let StreamEvent::Media { .. } = event {
            self.0.update(|received| received + 1);
        }
    }
}

impl Handler<PublisherEvent> for Subscriber {
    type Result = ();

    fn handle(&mut self, _: PublisherEvent, _: &mut Self::Context) {}
}

/// A room that is published and watched on the current thread.
struct Room {
    publication: Publication,
    subscribers: Vec<Addr<Subscriber>>,
    received: Rc<Cell<usize>>,
    _router: StreamDirectory,
}

impl Room {
    async fn open(subscribers: usize) -> Self {
        let registry = RegistryHandle::start(Duration::from_secs(60), || EmbeddedStore::new(NODE.to_owned()));
        let directory = StreamDirectory::start(settings(), registry, 1, None);
        let name = RoomName::new("room").expect("a name");
        let received = Rc::new(Cell::new(0));
        let subscribers: Vec<_> = (0..subscribers).map(|_| Subscriber(received.clone()).start()).collect();
        let publisher = Subscriber(Rc::default()).start();
        let gatekeeper = Gatekeeper::new(AccessSettings::OPEN, nodes());
        let request = AccessRequest::rtmp(SocketAddr::from(([127, 0, 0, 1], 1)), &name, "", false);
        let grant = gatekeeper.admit_publisher(&request).await.expect("anyone may publish");
        let publication = directory
            .publish(&grant, Relocation::AT_ONCE, publisher.recipient())
            .await
            .expect("the room is free");
        let grant = gatekeeper.admit_viewer(&request).await.expect("anyone may watch");
        let stream = directory.open(&grant).await.expect("it is live");
        for subscriber in &subscribers {
            stream.join(
                SubscriberId::unique(),
                SubscriberRole::Viewers,
                ViewerId(0),
                subscriber.clone().recipient(),
            );
        }
        Self { publication, subscribers, received, _router: directory }
    }

    /// One frame, until everyone has it.
    async fn deliver(&self) {
        self.received.set(0);
        self.publication.send(vec![samples::keyframe(0)]).await.expect("the room is ours");
        while self.received.get() < self.subscribers.len() {
            tokio::task::yield_now().await;
        }
    }
}

fn nodes() -> NodeKeys {
    NodeKeys::random(NODE).expect("there are random numbers")
}

fn settings() -> StreamSettings {
    StreamSettings {
        gop: GopLimits { gops_max: 2, size_max_bytes: 1 << 20, window_ms: 1000 },
        entry: EntryLimits::default(),
        flush: Flush::EveryFrame,
        grace: Duration::from_secs(10),
        pull: PullSettings {
            nodes: nodes(),
            linger: Duration::from_secs(10),
            grace: Duration::from_secs(10),
            frame_limit_bytes: 1 << 20,
        },
    }
}

fn fan_out(c: &mut Criterion) {
    let system = actix_rt::System::new();
    let mut group = c.benchmark_group("fan-out");
    for subscribers in [1, 10, 100] {
        let room = system.block_on(Room::open(subscribers));
        group.throughput(Throughput::Elements(subscribers as u64));
        group.bench_function(format!("a frame to {subscribers}"), |b| {
            b.iter(|| system.block_on(room.deliver()));
        });
    }
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
