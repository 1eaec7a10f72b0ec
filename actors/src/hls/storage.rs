//! The segments' files: one actor on a thread of its own, as a slow disk must not delay media.

mod directory;
mod high_water;
mod outages;

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::{Actor, Addr, Arbiter, Context, Handler, Message};
use actix_rt::ArbiterHandle;
use log::{debug, warn};
use synctv_media::stream::room::RoomName;

pub(super) use self::{directory::Directory, high_water::first_sequence};
use self::{high_water::HighWater, outages::Outages};
use super::{segment_memory::SegmentMemory, stored_segment::StoredSegment};
use crate::metrics::Counter;

/// Maximum bytes that wait to be written, over all rooms. Segments beyond it are not written.
const QUEUE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Talks to the [`StorageActor`].
#[derive(Debug, Clone)]
pub(super) struct StorageHandle {
    address: Addr<StorageActor>,
    directory: Arc<OnceLock<Directory>>,
    queued_bytes: Arc<AtomicUsize>,
    outages: Arc<Outages>,
}

/// Writes and deletes files, in the order of its messages.
#[derive(Debug)]
struct StorageActor {
    path: PathBuf,
    /// Empty until it could be opened; that is tried again with each segment.
    directory: Arc<OnceLock<Directory>>,
    high_water: HighWater,
    memory: Arc<SegmentMemory>,
    queued_bytes: Arc<AtomicUsize>,
    outages: Arc<Outages>,
    /// The server stops and the files are deleted. Streams may still be cut on other threads: what they send stays in memory.
    is_cleared: bool,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Write {
    room: RoomName,
    segment: Arc<StoredSegment>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Delete {
    files: Vec<Arc<Path>>,
}

/// Sequence numbers below this one are used.
#[derive(Message)]
#[rtype(result = "()")]
struct NoteNumbers(u64);

/// The room's directory goes, if it is empty.
#[derive(Message)]
#[rtype(result = "()")]
struct Vacate(RoomName);

#[derive(Message)]
#[rtype(result = "()")]
struct Clear;

#[derive(Message)]
#[rtype(result = "io::Result<()>")]
struct Open;

/// Is answered when all messages before it are done.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl StorageHandle {
    /// Whatever is in a file may leave `memory`.
    pub fn start(path: PathBuf, memory: Arc<SegmentMemory>) -> Self {
        Self::start_on(&Arbiter::new().handle(), path, memory)
    }

    fn start_on(arbiter: &ArbiterHandle, path: PathBuf, memory: Arc<SegmentMemory>) -> Self {
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let (outages, directory) = (Arc::new(Outages::default()), Arc::new(OnceLock::new()));
        let storage = StorageActor {
            high_water: HighWater::new(&path),
            path,
            directory: directory.clone(),
            memory,
            queued_bytes: queued_bytes.clone(),
            outages: outages.clone(),
            is_cleared: false,
        };
        Self {
            address: StorageActor::start_in_arbiter(arbiter, |_| storage),
            directory,
            queued_bytes,
            outages,
        }
    }

    /// Counts the segments that could not be written.
    pub fn failures(&self) -> &Counter {
        self.outages.failures()
    }

    /// Takes the directory and clears the files that a dead process left there. Fails if the directory can never be
    /// written to; a full disk may have room later.
    pub async fn open(&self) -> io::Result<()> {
        self.address.send(Open).await.unwrap_or_else(|ended| Err(io::Error::other(ended)))
    }

    /// Writes a segment, unless the disk is too far behind.
    pub fn write(&self, room: &RoomName, segment: Arc<StoredSegment>) {
        if !self.address.connected() {
            return self.outages.failed(room, &"the actor that writes files has ended");
        }
        let size_bytes = segment.size_bytes();
        let queued_bytes = self.queued_bytes.fetch_add(size_bytes, Ordering::AcqRel);
        if queued_bytes > QUEUE_MAX_BYTES {
            self.queued_bytes.fetch_sub(size_bytes, Ordering::AcqRel);
            self.outages.failed(room, &"the disk cannot follow");
            return;
        }
        let room = room.clone();
        self.address.do_send(Write { room, segment });
    }

    /// Segments expired: their memory is free at once, whatever the disk does.
    pub fn delete(&self, segments: &[Arc<StoredSegment>]) {
        let files: Vec<_> = segments.iter().filter_map(|segment| segment.discard()).collect();
        if !files.is_empty() {
            self.address.do_send(Delete { files });
        }
    }

    /// Numbers below `next_sequence` are used, which is to be known after a restart.
    pub fn note_numbers(&self, next_sequence: u64) {
        self.address.do_send(NoteNumbers(next_sequence));
    }

    /// A session of the room is over.
    pub fn vacate(&self, room: &RoomName) {
        self.address.do_send(Vacate(room.clone()));
    }

    /// Waits until all writes and deletions that were asked for before are done.
    pub async fn flush(&self) {
        // Without the actor there is nothing left to wait for.
        let _ = self.address.send(Flush).await;
    }

    /// The directory, once it was opened.
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.get()
    }

    /// Takes over a directory with the files that are in it. To be called before anything is to be written; one that was opened
    /// already stays.
    pub fn adopt(&self, directory: Directory) {
        let _ = self.directory.set(directory);
    }

    /// Everything goes.
    pub async fn clear(&self) {
        // Without the actor there is nothing left to clear.
        let _ = self.address.send(Clear).await;
    }
}

impl StorageActor {
    fn open(&self) -> io::Result<&Directory> {
        match self.directory.get() {
            Some(directory) => Ok(directory),
            None => {
                let opened = Directory::open(&self.path)?;
                Ok(self.directory.get_or_init(|| opened))
            }
        }
    }

    fn write(&self, room: &RoomName, segment: &StoredSegment) {
        // It may have expired while it waited.
        let Some(bytes) = segment.bytes().filter(|_| !self.is_cleared) else { return };
        let written = self.open().and_then(|directory| directory.write(room, segment.name(), &bytes));
        match written {
            Ok(path) => {
                if segment.note_written(path.clone()) {
                    self.memory.trim();
                } else {
                    delete(&path);
                }
                self.outages.written(room);
            }
            Err(error) => self.outages.failed(room, &error),
        }
    }
}

impl Actor for StorageActor {
    type Context = Context<Self>;
}

impl Handler<Open> for StorageActor {
    type Result = io::Result<()>;

    fn handle(&mut self, _: Open, _: &mut Self::Context) -> Self::Result {
        match self.open().map(drop) {
            Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                warn!(path:% = self.path.display(), reason:% = error;
                    "HLS_STORAGE is full: segments are kept in memory only");
                Ok(())
            }
            opened => opened,
        }
    }
}

impl Handler<Flush> for StorageActor {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}

impl Handler<Write> for StorageActor {
    type Result = ();

    fn handle(&mut self, Write { room, segment }: Write, _: &mut Self::Context) {
        self.write(&room, &segment);
        self.queued_bytes.fetch_sub(segment.size_bytes(), Ordering::AcqRel);
    }
}

impl Handler<Delete> for StorageActor {
    type Result = ();

    fn handle(&mut self, Delete { files }: Delete, _: &mut Self::Context) {
        files.iter().for_each(|path| delete(path));
    }
}

impl Handler<NoteNumbers> for StorageActor {
    type Result = ();

    fn handle(&mut self, NoteNumbers(next_sequence): NoteNumbers, _: &mut Self::Context) {
        self.high_water.note(next_sequence);
    }
}

impl Handler<Vacate> for StorageActor {
    type Result = ();

    fn handle(&mut self, Vacate(room): Vacate, _: &mut Self::Context) {
        if let Some(directory) = self.directory.get() {
            directory.vacate(&room);
        }
        self.outages.forget(&room);
    }
}

impl Handler<Clear> for StorageActor {
    type Result = ();

    fn handle(&mut self, _: Clear, _: &mut Self::Context) {
        self.is_cleared = true;
        if let Some(directory) = self.directory.get() {
            directory.clear();
        }
    }
}

fn delete(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        debug!(path:% = path.display(), reason:% = error; "a segment's file could not be deleted");
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{
        super::{segment_memory::MemoryLimits, stored_segment::SegmentPlace},
        *,
    };
    use crate::testing::{room, segment_name};

    const SEGMENT: &[u8] = &[7; 1000];

    /// A storage on the test's own thread: it writes when the test waits.
    fn storage(path: &Path) -> StorageHandle {
        // With this limit, segments leave memory as soon as they are in files.
        let memory = Arc::new(SegmentMemory::new(MemoryLimits::new(0)));
        StorageHandle::start_on(&Arbiter::current(), path.to_owned(), memory)
    }

    fn segment(sequence: u64) -> Arc<StoredSegment> {
        Arc::new(StoredSegment::new(segment_name(sequence), Bytes::from_static(SEGMENT)))
    }

    fn is_in_memory(segment: &StoredSegment) -> bool {
        matches!(segment.place(), Some(SegmentPlace::Memory(_)))
    }

    #[actix_rt::test]
    async fn segments_that_a_slow_disk_has_no_queue_for_stay_in_memory_until_it_follows_again() {
        let directory = tempfile::tempdir().unwrap();
        let (storage, room) = (storage(directory.path()), room("r"));
        let path = |sequence: u64| directory.path().join(format!("r/seg-{sequence}.ts"));
        // The queue has room for one.
        storage.queued_bytes.store(QUEUE_MAX_BYTES, Ordering::Release);
        let (last, refused) = (segment(1), segment(2));
        storage.write(&room, last.clone());
        storage.write(&room, refused.clone());
        assert!(storage.outages.is_out(&room));
        storage.open().await.unwrap();
        assert!(path(1).exists() && !path(2).exists());
        assert!(is_in_memory(&refused), "its viewers get it all the same");
        assert_eq!(
            storage.queued_bytes.load(Ordering::Acquire),
            QUEUE_MAX_BYTES,
            "what was refused does not count"
        );
        storage.queued_bytes.store(0, Ordering::Release);
        (3..8).for_each(|sequence| storage.write(&room, segment(sequence)));
        storage.open().await.unwrap();
        assert!((3..8).all(|sequence| path(sequence).exists()) && !storage.outages.is_out(&room));
        assert_eq!(storage.queued_bytes.load(Ordering::Acquire), 0);
    }

    #[actix_rt::test]
    async fn without_its_actor_segments_stay_in_memory_and_nothing_waits() {
        let directory = tempfile::tempdir().unwrap();
        let (storage, room) = (storage(directory.path()), room("r"));
        assert!(storage.address.send(Panic).await.is_err());
        let kept = segment(1);
        storage.write(&room, kept.clone());
        assert!(is_in_memory(&kept) && storage.outages.is_out(&room));
        assert_eq!(storage.queued_bytes.load(Ordering::Acquire), 0);
        assert!(storage.open().await.is_err());
    }

    #[actix_rt::test]
    async fn nothing_is_written_once_the_files_were_cleared() {
        let directory = tempfile::tempdir().unwrap();
        let (storage, room) = (storage(directory.path()), room("r"));
        storage.write(&room, segment(1));
        storage.clear().await;
        let late = segment(2);
        storage.write(&room, late.clone());
        storage.open().await.unwrap();
        assert!(!directory.path().join("r").exists() && is_in_memory(&late));
        assert_eq!(storage.queued_bytes.load(Ordering::Acquire), 0);
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Panic;

    impl Handler<Panic> for StorageActor {
        type Result = ();

        fn handle(&mut self, _: Panic, _: &mut Self::Context) {
            panic!("for a test");
        }
    }
}
