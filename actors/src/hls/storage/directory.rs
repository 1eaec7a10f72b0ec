//! A directory with segments: HLS_STORAGE/ROOM/SEGMENT.
//!
//! Each process has its own, known by a lock that the system takes back when the process dies. The first one that is
//! given HLS_STORAGE gets the directory itself; one that comes while the lock is held gets a directory within it, named
//! `@2` and so on, which no room can be named. Without that, a node that starts would clear the files of its neighbour,
//! and two nodes that cut the same room would write the same names.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use log::info;
use synctv_media::{hls::segment_name::SegmentName, stream::room::RoomName};

/// Processes that may share an HLS_STORAGE.
const PROCESSES_MAX: usize = 64;

const LOCK_NAME: &str = "@lock";

const PROBE_NAME: &str = "@probe";

/// Behind the name of a file that is being written.
const UNFINISHED: &str = ".tmp";

/// The directory of this process.
#[derive(Debug)]
pub(in crate::hls) struct Directory {
    path: PathBuf,
    /// Held until the process ends.
    lock: File,
}

impl Directory {
    /// Takes `base` or a directory within it, and clears it if a process has used it before.
    pub fn open(base: &Path) -> io::Result<Self> {
        for number in 1..=PROCESSES_MAX {
            let path = match number {
                1 => base.to_owned(),
                _ => base.join(format!("@{number}")),
            };
            if let Some(directory) = Self::take(path)? {
                return Ok(directory);
            }
        }
        Err(io::Error::other(format!("{PROCESSES_MAX} processes use it already")))
    }

    /// Goes on with a directory whose lock another program of this process gave. Nothing is cleared.
    pub fn taken_over(path: PathBuf, lock: OwnedFd) -> Self {
        Self { path, lock: lock.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock once more, for the next program of this process: it is held until all of its descriptors are closed.
    pub fn lock(&self) -> io::Result<OwnedFd> {
        Ok(self.lock.try_clone()?.into())
    }

    /// The path of a segment's file.
    pub fn segment_path(&self, room: &RoomName, name: SegmentName) -> PathBuf {
        self.room(room).join(name.to_string())
    }

    /// `None` if another process has it.
    fn take(path: PathBuf) -> io::Result<Option<Self>> {
        fs::create_dir_all(&path)?;
        let lock_path = path.join(LOCK_NAME);
        // A directory that was never ours has nothing of ours to clear.
        let was_used = lock_path.exists();
        let lock = OpenOptions::new().create(true).append(true).open(lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let directory = Self { path, lock };
        directory.probe()?;
        if was_used {
            directory.clear();
        }
        Ok(Some(directory))
    }

    /// Creates and removes a directory, as rooms need one: an existing lock file can be opened where nothing can be
    /// created.
    fn probe(&self) -> io::Result<()> {
        let path = self.path.join(PROBE_NAME);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::remove_dir(path),
        }
    }

    /// Writes a segment. It has its name only when it is complete.
    pub fn write(&self, room: &RoomName, name: SegmentName, bytes: &[u8]) -> io::Result<Arc<Path>> {
        let path = self.segment_path(room, name);
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(UNFINISHED);
        let written =
            self.create(room, Path::new(&unfinished), bytes).and_then(|()| fs::rename(&unfinished, &path));
        match written {
            Ok(()) => Ok(path.into()),
            Err(error) => {
                // Half a file on a full disk is of no use.
                let _ = fs::remove_file(&unfinished);
                Err(error)
            }
        }
    }

    /// Removes the room's directory, if it is empty.
    pub fn vacate(&self, room: &RoomName) {
        // It is not empty while another session of the room has files.
        let _ = fs::remove_dir(self.room(room));
    }

    /// Deletes all segments, finished and not, and the directories that are empty after that. Everything else stays.
    pub fn clear(&self) {
        let rooms: Vec<_> = entries(&self.path).filter_map(|entry| own_room(&entry)).collect();
        let deleted: usize = rooms.iter().map(|room| clear_room(&self.room(room))).sum();
        if deleted > 0 {
            info!(path:% = self.path.display(), files = deleted; "segments were cleared");
        }
    }

    fn create(&self, room: &RoomName, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match fs::write(path, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(self.room(room))?;
                fs::write(path, bytes)
            }
            written => written,
        }
    }

    fn room(&self, room: &RoomName) -> PathBuf {
        self.path.join(room.as_str())
    }
}

/// Returns the readable entries of a directory.
fn entries(path: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(path).into_iter().flatten().filter_map(Result::ok)
}

/// The room whose directory it is. A link to a directory is none.
fn own_room(entry: &fs::DirEntry) -> Option<RoomName> {
    let is_directory = entry.file_type().is_ok_and(|file_type| file_type.is_dir());
    let room = RoomName::new(entry.file_name().to_str()?).ok();
    room.filter(|_| is_directory)
}

/// Returns how many files were deleted.
fn clear_room(path: &Path) -> usize {
    let deleted =
        entries(path).filter(is_own_file).filter(|entry| fs::remove_file(entry.path()).is_ok()).count();
    if deleted > 0 {
        // It is not empty if there is something that is not ours.
        let _ = fs::remove_dir(path);
    }
    deleted
}

fn is_own_file(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let Some(name) = name.to_str() else { return false };
    let name = name.strip_suffix(UNFINISHED).unwrap_or(name);
    SegmentName::parse(name).is_some() && entry.file_type().is_ok_and(|file_type| file_type.is_file())
}

#[cfg(test)]
mod tests {
    use synctv_media::hls::{container::Container, ts::container::TsContainer};

    use super::*;

    fn name(sequence: u64) -> SegmentName {
        SegmentName::whole(sequence, TsContainer::FORMAT)
    }

    fn room(name: &str) -> RoomName {
        RoomName::new(name).unwrap()
    }

    fn tree(path: &Path) -> Vec<String> {
        let mut found: Vec<_> = entries(path)
            .flat_map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                let below = tree(&entry.path())
                    .into_iter()
                    .map(|below| format!("{name}/{below}"))
                    .collect::<Vec<_>>();
                std::iter::once(name.clone()).chain(below).collect::<Vec<_>>()
            })
            .collect();
        found.sort();
        found
    }

    #[test]
    fn a_segment_is_written_whole_and_its_room_goes_when_it_is_empty() {
        let base = tempfile::tempdir().unwrap();
        let directory = Directory::open(base.path()).unwrap();
        let path = directory.write(&room("r"), name(7), b"abc").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(tree(base.path()), ["@lock", "r", "r/seg-7.ts"]);
        directory.vacate(&room("r"));
        assert!(path.exists());
        fs::remove_file(path).unwrap();
        directory.vacate(&room("r"));
        assert_eq!(tree(base.path()), ["@lock"]);
    }

    #[test]
    fn leftovers_are_cleared_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = base.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        let all = [
            "@lock",
            "a/seg-1.ts",
            "a/seg-2.ts.tmp",
            "b/seg-1.ts",
            "b/seg-01.ts",
            "b/seg-x.ts",
            "b/notes",
            "c/x/seg-1.ts",
            "seg-1.ts",
            "d e/seg-1.ts",
            "@2/f/seg-1.ts",
        ];
        all.into_iter().for_each(write);
        fs::create_dir(base.path().join("empty")).unwrap();
        drop(Directory::open(base.path()).unwrap());
        let left = [
            "@2",
            "@2/f",
            "@2/f/seg-1.ts",
            "@lock",
            "b",
            "b/notes",
            "b/seg-01.ts",
            "b/seg-x.ts",
            "c",
            "c/x",
            "c/x/seg-1.ts",
            "d e",
            "d e/seg-1.ts",
            "empty",
            "seg-1.ts",
        ];
        assert_eq!(tree(base.path()), left);
    }

    #[test]
    fn a_directory_that_was_never_used_is_not_cleared() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("films")).unwrap();
        fs::write(base.path().join("films/seg-1.ts"), "mine").unwrap();
        drop(Directory::open(base.path()).unwrap());
        assert!(base.path().join("films/seg-1.ts").exists());
    }

    #[test]
    fn a_second_process_does_not_touch_the_files_of_the_first() {
        let base = tempfile::tempdir().unwrap();
        let first = Directory::open(base.path()).unwrap();
        let path = first.write(&room("r"), name(1), b"first").unwrap();
        let second = Directory::open(base.path()).unwrap();
        let other = second.write(&room("r"), name(1), b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(other.strip_prefix(base.path()).unwrap(), Path::new("@2/r/seg-1.ts"));
        drop(first);
        drop(Directory::open(base.path()).unwrap());
        assert!(!path.exists() && other.exists());
    }

    #[test]
    fn a_room_that_cannot_be_written_is_an_error_and_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let directory = Directory::open(base.path()).unwrap();
        fs::write(base.path().join("r"), "a file").unwrap();
        assert!(directory.write(&room("r"), name(1), b"x").is_err());
        fs::create_dir_all(base.path().join("s/seg-1.ts")).unwrap();
        assert!(directory.write(&room("s"), name(1), b"x").is_err());
        assert_eq!(tree(base.path()), ["@lock", "r", "s", "s/seg-1.ts"]);
    }
}
