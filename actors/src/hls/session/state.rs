//! The state of a session: its playlist, its segments, and the numbers that it may use.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use synctv_media::{
    cluster::numbers::HlsNumbers,
    hls::{
        container::InitSection,
        playlist::{OpenInfo, PartConfig, Playlist, SegmentInfo},
        segment::{Part, Segment, SegmentHead},
        segment_name::{Piece, SegmentName},
    },
    stream::room::RoomName,
};
use tokio::time::Instant;

use super::super::{
    listing::Listing,
    settings::HlsForm,
    stored_segment::{StoredPiece, StoredSegment},
};
use crate::cluster::registry::numbers::NumberReserve;

/// The part that changes as segments come.
#[derive(Debug)]
pub(super) struct SessionState {
    pub(super) shape: SessionShape,
    /// Not before a publisher came with numbers.
    pub(super) numbered: Option<Numbered>,
    pub(super) phase: Phase,
    /// A segment was cut here.
    pub(super) has_begun: bool,
    /// The time at which another node got the window.
    pub(super) given: Option<Instant>,
    /// The time of its removal, once that is known.
    pub(super) removed_at: Option<Instant>,
    /// The session goes on elsewhere: in the program that an upgrade runs. Its files are that one's.
    pub(super) is_parked: bool,
    pub(super) segments: BTreeMap<u64, Arc<StoredSegment>>,
    /// By the number of the first segment that needs it; as many as segments that are kept need.
    pub(super) inits: BTreeMap<u64, Arc<StoredSegment>>,
    /// The init section that the newest segment or part needs.
    pub(super) init: Option<Arc<InitSection>>,
    /// Parts of the segment that comes next.
    pub(super) open_parts: Vec<Arc<StoredSegment>>,
}

/// A playlist and its numbers.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) playlist: Playlist,
    pub(super) reserve: NumberReserve,
}

/// The settings that do not depend on the publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::hls) struct SessionShape {
    /// Number of segments in a playlist.
    pub window: usize,
    /// The segmenter's target, in milliseconds.
    pub target_ms: u32,
    /// The form of the segments.
    pub form: HlsForm,
    /// Their parts, if there are any.
    pub parts: Option<PartConfig>,
    /// Another session of the room may have been there before, here or elsewhere: the first segment is a discontinuity.
    pub follows: bool,
    /// Numbers that earlier sessions of this process have reached.
    pub above: HlsNumbers,
}

/// The stage of a session between its first publisher and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    Live,
    /// The publisher left. It may come back, here or through another node.
    Vacant,
    /// The room was on another node since. Segments stay for players that still ask for them.
    Past,
    Ended,
    Gone,
}

/// The effects of a new segment.
#[derive(Debug)]
pub(in crate::hls) struct Change {
    pub published: Arc<StoredSegment>,
    pub expired: Vec<Arc<StoredSegment>>,
}

impl Numbered {
    /// Numbers above all that were used.
    pub(super) fn next(&self) -> HlsNumbers {
        HlsNumbers {
            sequence: self.playlist.next_sequence(),
            discontinuity: self.playlist.last_discontinuity_sequence().saturating_add(1),
        }
    }
}

impl SessionState {
    pub(super) fn new(shape: SessionShape) -> Self {
        Self {
            shape,
            numbered: None,
            phase: Phase::Live,
            has_begun: false,
            given: None,
            removed_at: None,
            is_parked: false,
            segments: BTreeMap::new(),
            inits: BTreeMap::new(),
            init: None,
            open_parts: Vec::new(),
        }
    }

    /// Begins the playlist, or goes on with it if that is possible.
    pub(super) fn take_numbers(&mut self, reserve: NumberReserve) -> bool {
        match &mut self.numbered {
            Some(numbered) if reserve.continues() => numbered.reserve = reserve,
            Some(_) => return false,
            None => {
                let first = reserve.next().max(self.shape.above);
                let playlist = Playlist::new(self.playlist_config(first));
                self.numbered = Some(Numbered { playlist, reserve });
            }
        }
        true
    }

    /// Lists a segment.
    pub(super) fn add(
        &mut self,
        segment: Segment,
        program_date_time_ms: u64,
        now_ms: u64,
    ) -> Result<Change, String> {
        let Segment { bytes, duration_ms, first_ms, discontinuity, independent, init, parts, .. } = segment;
        let open =
            self.open_info(SegmentHead { first_ms, discontinuity, independent, init }, program_date_time_ms);
        let Some(numbered) = &mut self.numbered else { return Err("it has no number".to_owned()) };
        let name = numbered.playlist.next_name();
        let sequence = name.sequence;
        if !numbered.reserve.may_use(sequence) {
            return Err(format!("its number {sequence} may be another node's"));
        }
        let listed_count = numbered.playlist.part_count();
        parts.iter().skip(listed_count).for_each(|part| numbered.playlist.push_part(open, *part));
        let info = SegmentInfo {
            sequence,
            duration_ms,
            discontinuity: open.discontinuity,
            independent,
            program_date_time_ms,
            size_bytes: bytes.len(),
            init: open.init,
        };
        numbered.playlist.push(info, now_ms).map_err(|error| error.to_string())?;
        numbered.reserve.note_next(numbered.next());
        self.open_parts.clear();
        self.has_begun = true;
        let published = Arc::new(StoredSegment::new(name, bytes).with_parts(&parts));
        self.segments.insert(sequence, published.clone());
        let expired = numbered.playlist.expired(now_ms);
        let expired = expired.iter().filter_map(|sequence| self.segments.remove(sequence)).collect();
        self.forget_inits();
        Ok(Change { published, expired })
    }

    /// Lists a part. Only the first of a segment describes it.
    pub(super) fn add_part(&mut self, Part { bytes, part, head }: Part, program_date_time_ms: u64) {
        let open = match head {
            Some(head) => self.open_info(head, program_date_time_ms),
            None => OpenInfo { discontinuity: false, independent: true, program_date_time_ms, init: None },
        };
        let Some(numbered) = &mut self.numbered else { return };
        let name = numbered.playlist.next_name();
        if !numbered.reserve.may_use(name.sequence) {
            return;
        }
        numbered.playlist.push_part(open, part);
        let index = u32::try_from(self.open_parts.len()).unwrap_or(u32::MAX);
        self.open_parts.push(Arc::new(StoredSegment::new(name.with(Piece::Part(index)), bytes)));
    }

    /// Returns the playlist's data about the next segment, with the number of the init section that it needs.
    fn open_info(&mut self, head: SegmentHead, program_date_time_ms: u64) -> OpenInfo {
        let SegmentHead { discontinuity, independent, init, .. } = head;
        let name = self.numbered.as_ref().map(|numbered| numbered.playlist.next_name());
        if let (Some(name), Some(init)) = (name, &init)
            && self.init.as_ref().is_none_or(|known| known.bytes != init.bytes)
        {
            let section = StoredSegment::new(name.with(Piece::Init), init.bytes.clone());
            self.inits.insert(name.sequence, Arc::new(section));
            self.init = Some(init.clone());
        }
        OpenInfo {
            discontinuity: discontinuity || (self.shape.follows && !self.has_begun),
            independent,
            program_date_time_ms,
            init: init.and_then(|_| self.inits.keys().next_back().copied()),
        }
    }

    /// Sections that no segment needs any more go.
    fn forget_inits(&mut self) {
        let Some(oldest) = self.segments.keys().next().copied() else { return };
        let needed_from = self.inits.range(..=oldest).next_back().map(|(sequence, _)| *sequence);
        if let Some(needed_from) = needed_from {
            self.inits = self.inits.split_off(&needed_from);
        }
    }

    /// A segment, or what belongs to one.
    pub(super) fn piece(&self, name: SegmentName) -> Option<StoredPiece> {
        let segment = self.segments.get(&name.sequence).cloned();
        match name.piece {
            Piece::Whole => segment.map(StoredPiece::whole),
            Piece::Init => self.inits.get(&name.sequence).cloned().map(StoredPiece::whole),
            Piece::Part(index) => match segment {
                Some(segment) => StoredPiece::part(segment, index),
                None => {
                    let next = self.numbered.as_ref()?.playlist.next_sequence();
                    let part = self.open_parts.get(index as usize).filter(|_| name.sequence == next);
                    part.cloned().map(StoredPiece::whole)
                }
            },
        }
    }

    /// The playlist as it is; `None` before the first segment.
    pub(super) fn listing(&self, room: &RoomName) -> Option<Listing> {
        let Numbered { playlist, .. } = self.numbered.as_ref()?;
        playlist.segments().next()?;
        let (has_end, is_past) = (self.phase == Phase::Ended, self.phase == Phase::Past);
        Some(Listing::new(playlist.clone(), room.clone(), self.init.clone(), has_end, is_past))
    }
}
