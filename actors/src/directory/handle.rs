//! The handle through which others find and open streams.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, Addr, Recipient};
use synctv_media::stream::room::RoomName;
use tokio::{sync::watch, time::Instant};

use super::{
    DirectoryEnded, DirectoryPhase, OpenError, StreamDirectoryActor, StreamObserver,
    messages::{AskPhase, Find, FindPublished, ForPull, Notice, OpenForPublisher, Streams},
};
use crate::{
    access::{Grant, ToPlay, ToPublish, ToPull},
    cluster::{origin::Origin, registry::RegistryHandle},
    events::{PublisherEvent, PublisherProfile, Relocation, StreamSettings},
    metrics::StreamMetrics,
    stream::{NotLive, Publication, PublishError, StreamHandle},
    thread::ActorThread,
};

/// Tries of a publisher that meets a stream in its last moment.
const ENDED_RETRIES_MAX: usize = 3;

/// Time that a viewer who meets a stream in its last moment asks for another.
const OPEN_RETRY_TIME: Duration = Duration::from_secs(2);

/// Talks to the [`StreamDirectoryActor`].
#[derive(Debug, Clone)]
pub struct StreamDirectory {
    pub(super) address: Addr<StreamDirectoryActor>,
    /// Asked by the caller and not by the directory, which never waits.
    pub(super) registry: RegistryHandle,
    pub(super) notice: watch::Sender<Notice>,
    /// Streams of before an upgrade are not all there yet.
    pub(super) is_restoring: watch::Sender<bool>,
    pub(super) metrics: Arc<StreamMetrics>,
}

impl StreamDirectory {
    /// Starts the directory on the current thread. `on_published` sees each stream before its first publisher of this
    /// node is attached.
    pub fn start(
        settings: StreamSettings,
        registry: RegistryHandle,
        rooms_max: usize,
        on_published: Option<StreamObserver>,
    ) -> Self {
        let (settings, streams) = (Arc::new(settings), HashMap::new());
        let metrics = Arc::new(StreamMetrics::default());
        let directory = StreamDirectoryActor {
            settings,
            registry: registry.clone(),
            rooms_max,
            on_published,
            streams,
            phase: DirectoryPhase::Open,
            metrics: metrics.clone(),
        };
        Self {
            address: directory.start(),
            registry,
            metrics,
            notice: watch::Sender::default(),
            is_restoring: watch::Sender::default(),
        }
    }

    /// Returns the metrics of all streams.
    pub fn metrics(&self) -> &StreamMetrics {
        &self.metrics
    }

    /// The stream that a viewer of the granted room watches. If another node publishes the room and this one does not pull it yet,
    /// the stream is started on the caller's thread; it is there when that node has answered.
    pub async fn open(&self, grant: &Grant<ToPlay>) -> Result<StreamHandle, OpenError> {
        let room = grant.room().clone();
        if let Some(stream) = self.find(room.clone()).await? {
            return Ok(stream);
        }
        if self.phase().await? == DirectoryPhase::Draining {
            return Err(OpenError::Draining);
        }
        let mut origin = self.locate(&room).await?;
        let deadline = Instant::now() + OPEN_RETRY_TIME;
        loop {
            let node = origin.node.clone();
            let stream = self.for_pull(room.clone(), origin).await?;
            match stream.wait_live().await {
                Ok(()) => return Ok(stream),
                Err(NotLive::TimedOut) => return Err(OpenError::OriginSilent { node }),
                // The stream was about to end, or failed to open: the room has ended, or its node cannot be reached.
                Err(NotLive::Ended) => origin = self.locate(&room).await?,
            }
            if Instant::now() >= deadline {
                return Err(OpenError::OriginSilent { node: origin.node });
            }
        }
    }

    /// Fails if [`open`](Self::open) would not find the room. Pulls nothing.
    pub async fn look(&self, grant: &Grant<ToPlay>) -> Result<(), OpenError> {
        let room = grant.room().clone();
        match self.find(room.clone()).await? {
            Some(_) => Ok(()),
            None => self.locate(&room).await.map(drop),
        }
    }

    /// The stream of `room` that this node has for viewers, pushed or pulled. Asks no other node.
    pub(crate) async fn find(&self, room: RoomName) -> Result<Option<StreamHandle>, DirectoryEnded> {
        self.address.send(Find(room)).await.map_err(|_| DirectoryEnded)
    }

    /// The stream of the granted room if it is published on this node, now. Only such a stream may be given to other nodes: so no
    /// room goes round in circles. A node that drains gives them away for as long as their publishers stay.
    pub async fn open_local(&self, grant: &Grant<ToPull>) -> Result<Option<StreamHandle>, DirectoryEnded> {
        self.address.send(FindPublished(grant.room().clone())).await.map_err(|_| DirectoryEnded)
    }

    /// All streams that viewers can watch here, in no order.
    pub async fn streams(&self) -> Result<Vec<StreamHandle>, DirectoryEnded> {
        self.address.send(Streams).await.map_err(|_| DirectoryEnded)
    }

    /// Returns whether the node takes new work.
    pub async fn phase(&self) -> Result<DirectoryPhase, DirectoryEnded> {
        self.address.send(AskPhase).await.map_err(|_| DirectoryEnded)
    }

    /// Makes the caller the publisher of the granted room. A stream that it starts lives on the caller's thread. `events`
    /// are what it needs to know as its publisher, `relocation` how it comes to publish elsewhere.
    pub async fn publish(
        &self,
        grant: &Grant<ToPublish>,
        relocation: Relocation,
        events: Recipient<PublisherEvent>,
    ) -> Result<Publication, PublishError> {
        let profile = PublisherProfile { who: grant.who().cloned(), peer: grant.peer(), relocation };
        for _ in 0..ENDED_RETRIES_MAX {
            match self.for_publisher(grant).await?.publish(profile.clone(), events.clone()).await {
                Err(PublishError::Ended) => {}
                answer => return answer,
            }
        }
        Err(PublishError::Ended)
    }

    pub(super) async fn for_publisher(&self, grant: &Grant<ToPublish>) -> Result<StreamHandle, PublishError> {
        let (room, address, thread) = (grant.room().clone(), grant.address(), ActorThread::current());
        self.address
            .send(OpenForPublisher { room, address, thread })
            .await
            .unwrap_or(Err(PublishError::DirectoryEnded))
    }

    async fn locate(&self, room: &RoomName) -> Result<Origin, OpenError> {
        let located = self.registry.locate(room.clone()).await.map_err(OpenError::Registry)?;
        located.ok_or_else(|| OpenError::NotLive(room.clone()))
    }

    async fn for_pull(&self, room: RoomName, origin: Origin) -> Result<StreamHandle, OpenError> {
        let thread = ActorThread::current();
        self.address.send(ForPull { room, thread, origin }).await.map_err(|_| DirectoryEnded)?
    }
}
