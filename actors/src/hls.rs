//! HLS on this node: which rooms have segments, and where those are.
//!
//! A `SegmenterActor` cuts a stream and publishes what it cut to an [`HlsSession`]. The HTTP port reads sessions
//! without asking an actor: a playlist is a text behind an `Arc`, a segment is bytes in memory or a file.

pub mod proxy;
mod segment_file;
mod segment_memory;
mod segmenter;
mod session;
mod session_store;
mod settings;
mod storage;
mod stored_segment;

use std::{io, sync::Arc, time::Duration};

use synctv_media::{hls::segment_name::SegmentName, stream::room::RoomName};
use tokio::time::timeout;

pub use self::{
    segment_file::SegmentFile,
    segment_memory::FetchedMemory,
    session::{HlsSession, PlaylistState, PlaylistText, Playlists},
    settings::{HlsMode, HlsSettings},
    stored_segment::{SegmentPlace, StoredSegment},
};
use self::{segmenter::SegmenterActor, session_store::SessionStore};
use crate::{
    access::{Grant, ToPlay},
    directory::{DirectoryEnded, StreamDirectory, StreamObserver},
    metrics::HlsMetrics,
    stream::StreamHandle,
};

/// Time that a request waits for a segmenter whose publisher has come, or is about to.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The HLS sessions of this node's rooms, as the HTTP port sees them. Clones share them.
#[derive(Debug, Clone)]
pub struct HlsSessions(SessionStore);

impl HlsSessions {
    /// Starts a thread for the files.
    pub fn start(settings: HlsSettings) -> Self {
        Self(SessionStore::start(settings))
    }

    /// Takes the directory for the files and clears those that a dead process left there. Fails if the directory can
    /// never be written to.
    pub async fn open_storage(&self) -> io::Result<()> {
        self.0.open_storage().await
    }

    /// Returns what viewers of the granted room watch: a live session, or one that has just ended. On demand, this begins
    /// it. A session that has only numbers below `from_sequence` is outdated.
    pub async fn open(
        &self,
        directory: &StreamDirectory,
        grant: &Grant<ToPlay>,
        from_sequence: u64,
    ) -> Result<Option<Arc<HlsSession>>, DirectoryEnded> {
        let room = grant.room();
        let session = match self.0.live(room, from_sequence) {
            Some(live) => Some(live),
            None => {
                let published = self.open_published(directory, room, from_sequence).await?;
                published.or_else(|| self.0.newest(room).filter(|session| session.reaches(from_sequence)))
            }
        };
        Ok(session.inspect(|session| self.0.touch(session)))
    }

    /// Returns the session of a stream that is published here and has none yet.
    async fn open_published(
        &self,
        directory: &StreamDirectory,
        room: &RoomName,
        from_sequence: u64,
    ) -> Result<Option<Arc<HlsSession>>, DirectoryEnded> {
        let stream = directory.find(room.clone()).await?.filter(StreamHandle::is_published_here);
        let Some(stream) = stream else { return Ok(None) };
        if self.0.mode() == HlsMode::OnDemand {
            self.begin_on_demand(stream);
        }
        Ok(timeout(BEGIN_TIMEOUT, self.0.begun(room, from_sequence)).await.ok())
    }

    /// Returns a segment of the granted room, listed or no longer listed but not expired.
    pub fn segment(&self, grant: &Grant<ToPlay>, name: SegmentName) -> Option<Arc<StoredSegment>> {
        self.0.segment(grant.room(), name)
    }

    /// Returns the metrics of all sessions.
    pub fn metrics(&self) -> &HlsMetrics {
        self.0.metrics()
    }

    /// Returns how much memory segments take, those of other nodes among them, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }

    /// The memory for segments of other nodes.
    pub fn fetched_memory(&self) -> FetchedMemory {
        self.0.fetched_memory()
    }

    /// Deletes all files. Called when the server stops: nothing can be published after it.
    pub async fn clear(&self) {
        self.0.clear().await;
    }

    /// Returns what starts a segmenter for each stream that is published on this node, if all streams are cut.
    pub fn observer(&self) -> Option<StreamObserver> {
        let store = self.0.clone();
        (store.mode() == HlsMode::Always).then(|| -> StreamObserver {
            Arc::new(move |stream| {
                SegmenterActor::start(store.clone(), stream.clone(), None);
            })
        })
    }

    fn begin_on_demand(&self, stream: StreamHandle) {
        if let Some(session) = self.0.begin_unless_live(stream.room()) {
            SegmenterActor::start(self.0.clone(), stream, Some(session));
        }
    }
}
