//! One segment of a session, wherever its bytes are.

mod upgrade;

use std::{
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use synctv_media::hls::{
    segment::SegmentPart,
    segment_name::{Piece, SegmentName},
};

pub(super) use self::upgrade::StoredSegmentState;

/// A segment. Its bytes are in memory until they are in a file and memory is needed for newer ones.
#[derive(Debug)]
pub struct StoredSegment {
    name: SegmentName,
    size_bytes: usize,
    /// The offset at which each of its parts ends, if it has any.
    part_ends: Box<[usize]>,
    state: Mutex<State>,
}

/// A segment, or a part of one.
#[derive(Debug, Clone)]
pub struct StoredPiece {
    segment: Arc<StoredSegment>,
    name: SegmentName,
    range: Range<usize>,
}

impl StoredPiece {
    /// All of what is stored under one name.
    pub fn whole(segment: Arc<StoredSegment>) -> Self {
        let (name, range) = (segment.name, 0..segment.size_bytes);
        Self { segment, name, range }
    }

    /// A part of a segment, if it has that many.
    pub(super) fn part(segment: Arc<StoredSegment>, index: u32) -> Option<Self> {
        let at = index as usize;
        let end = *segment.part_ends.get(at)?;
        let start = at.checked_sub(1).and_then(|before| segment.part_ends.get(before)).copied().unwrap_or(0);
        let name = segment.name.with(Piece::Part(index));
        Some(Self { segment, name, range: start..end })
    }

    /// Its name.
    pub fn name(&self) -> SegmentName {
        self.name
    }

    /// The stored segment.
    pub fn segment(&self) -> &StoredSegment {
        &self.segment
    }

    /// Its range of bytes within the segment.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }
}

#[derive(Debug)]
enum State {
    Memory { bytes: Bytes, file: Option<Arc<Path>> },
    File(Arc<Path>),
    Gone,
}

/// The location of a segment's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentPlace {
    /// Here.
    Memory(Bytes),
    /// In this file.
    File(Arc<Path>),
}

impl StoredSegment {
    /// A segment in memory.
    pub(crate) fn new(name: SegmentName, bytes: Bytes) -> Self {
        let (size_bytes, state) = (bytes.len(), Mutex::new(State::Memory { bytes, file: None }));
        Self { name, size_bytes, part_ends: Box::default(), state }
    }

    /// The same with its parts.
    pub(super) fn with_parts(self, parts: &[SegmentPart]) -> Self {
        let ends = parts.iter().scan(0, |end, part| {
            *end += part.size_bytes;
            Some(*end)
        });
        Self { part_ends: ends.collect(), ..self }
    }

    /// Its name.
    pub fn name(&self) -> SegmentName {
        self.name
    }

    /// Its size.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Returns the location of its bytes; `None` if they were dropped.
    pub fn place(&self) -> Option<SegmentPlace> {
        match &*self.state() {
            State::Memory { bytes, .. } => Some(SegmentPlace::Memory(bytes.clone())),
            State::File(file) => Some(SegmentPlace::File(file.clone())),
            State::Gone => None,
        }
    }

    /// Its bytes, if they are in memory.
    pub(super) fn bytes(&self) -> Option<Bytes> {
        match &*self.state() {
            State::Memory { bytes, .. } => Some(bytes.clone()),
            State::File(_) | State::Gone => None,
        }
    }

    /// Its size in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        match &*self.state() {
            State::Memory { bytes, .. } => bytes.len(),
            State::File(_) | State::Gone => 0,
        }
    }

    /// It is in this file as well. Returns whether that is of use.
    pub(super) fn note_written(&self, path: Arc<Path>) -> bool {
        match &mut *self.state() {
            State::Memory { file, .. } => {
                *file = Some(path);
                true
            }
            State::File(_) | State::Gone => false,
        }
    }

    /// Leaves the memory, if there is a file. Returns how many bytes that frees.
    pub(super) fn leave_to_file(&self) -> usize {
        let mut state = self.state();
        match &*state {
            State::Memory { file: Some(file), .. } => {
                *state = State::File(file.clone());
                self.size_bytes
            }
            _ => 0,
        }
    }

    /// Drops the bytes in memory; without a file, the segment is lost. Returns the number of bytes that this frees.
    pub(super) fn give_up(&self) -> usize {
        let freed_bytes = self.leave_to_file();
        let mut state = self.state();
        match &*state {
            State::Memory { .. } => {
                *state = State::Gone;
                self.size_bytes
            }
            _ => freed_bytes,
        }
    }

    /// Its file does not exist any more: it is not looked for again.
    pub fn note_lost(&self) {
        let mut state = self.state();
        if matches!(&*state, State::File(_)) {
            *state = State::Gone;
        }
    }

    /// It expired. Returns its file, if it has one.
    pub(super) fn discard(&self) -> Option<Arc<Path>> {
        match std::mem::replace(&mut *self.state(), State::Gone) {
            State::Memory { file, .. } => file,
            State::File(file) => Some(file),
            State::Gone => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
