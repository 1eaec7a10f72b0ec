//! The segmenter's state of one of the two tracks.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::container::ContainerError;
use crate::upgrade::{BlobId, Blobs, StateError};

/// Duration of a frame whose own span is unknown.
const FRAME_FALLBACK_MS: i64 = 40;

/// Frames that are further apart are not one frame's span apart.
const FRAME_MAX_MS: i64 = 1_000;

/// The admission of the track's frames to the open segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Gate {
    /// They may.
    Open,
    /// Their sequence header is newer than the segment: they wait for the next one.
    NextSegment,
    /// The frames before them are not in the segment: they wait for a keyframe.
    Keyframe,
}

/// One track: its sequence header, its gate and its pace.
#[derive(Debug)]
pub(super) struct SegmentTrack<C> {
    header: Option<(C, Bytes)>,
    /// No frame has come since the header did.
    header_is_new: bool,
    fault: Option<HeaderFault>,
    pub(super) gate: Gate,
    last_ms: Option<i64>,
    frame_ms: i64,
}

/// A sequence header that the container refused.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct HeaderFault {
    reason: ContainerError,
    /// The first frame that lacked it.
    since_ms: Option<i64>,
}

/// A track as plain data.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SegmentTrackState<C> {
    header: Option<(C, BlobId)>,
    header_is_new: bool,
    fault: Option<HeaderFault>,
    gate: Gate,
    last_ms: Option<i64>,
    frame_ms: i64,
}

impl<C: Copy> SegmentTrack<C> {
    /// The track as plain data.
    pub(super) fn state(&self, blobs: &mut Blobs) -> SegmentTrackState<C> {
        SegmentTrackState {
            header: self.header.as_ref().map(|(codec, header)| (*codec, blobs.put(header))),
            header_is_new: self.header_is_new,
            fault: self.fault,
            gate: self.gate,
            last_ms: self.last_ms,
            frame_ms: self.frame_ms,
        }
    }

    /// The track that gave the state.
    pub(super) fn restore(state: SegmentTrackState<C>, blobs: &Blobs) -> Result<Self, StateError> {
        let SegmentTrackState { header, header_is_new, fault, gate, last_ms, frame_ms } = state;
        StateError::unless(
            (1..=FRAME_MAX_MS).contains(&frame_ms),
            "a segmenter",
            "no frame lasts that long",
        )?;
        let header = header.map(|(codec, id)| blobs.get(id).map(|header| (codec, header))).transpose()?;
        Ok(Self { header, header_is_new, fault, gate, last_ms, frame_ms })
    }
}

impl<C: Copy + PartialEq> SegmentTrack<C> {
    pub(super) fn new(gate: Gate) -> Self {
        Self {
            header: None,
            header_is_new: false,
            fault: None,
            gate,
            last_ms: None,
            frame_ms: FRAME_FALLBACK_MS,
        }
    }

    /// Returns whether this is the sequence header that counts already.
    pub(super) fn has_header(&self, codec: C, header: &[u8]) -> bool {
        self.header.as_ref().is_some_and(|(known_codec, known)| *known_codec == codec && *known == header)
    }

    /// `is_other`: frames behind it do not fit those before.
    pub(super) fn set_header(&mut self, codec: C, header: &[u8], is_other: bool) {
        // A copy, as a slice would keep the whole buffer that it was read into.
        self.header = Some((codec, Bytes::copy_from_slice(header)));
        self.header_is_new |= is_other;
        self.fault = None;
    }

    pub(super) fn is_known(&self) -> bool {
        self.header.is_some()
    }

    /// The track's newest header was refused.
    pub(super) fn set_fault(&mut self, reason: ContainerError) {
        self.fault = Some(HeaderFault { reason, since_ms: None });
    }

    /// The reason the newest header was refused, once frames have come without one for `wait_ms`.
    pub(super) fn header_fault(&mut self, time_ms: i64, wait_ms: i64) -> Option<ContainerError> {
        let fault = self.fault.as_mut()?;
        let since_ms = *fault.since_ms.get_or_insert(time_ms);
        (time_ms.saturating_sub(since_ms) >= wait_ms).then_some(fault.reason)
    }

    /// Returns whether the next frame is the first one behind a new header.
    pub(super) fn take_new_header(&mut self) -> bool {
        std::mem::take(&mut self.header_is_new)
    }

    pub(super) fn forget_header(&mut self) {
        self.header = None;
    }

    /// A frame of the track went into a segment.
    pub(super) fn note_frame(&mut self, time_ms: i64) {
        let since_last_ms = self.last_ms.map(|last_ms| time_ms.saturating_sub(last_ms));
        if let Some(frame_ms) = since_last_ms.filter(|frame_ms| (1..=FRAME_MAX_MS).contains(frame_ms)) {
            self.frame_ms = frame_ms;
        }
        self.last_ms = Some(time_ms);
    }

    /// The last frame that went into a segment since the last discontinuity.
    pub(super) fn last_ms(&self) -> Option<i64> {
        self.last_ms
    }

    /// Returns the time at which the last frame stops playing, if it came at `first_ms` or later.
    pub(super) fn end_ms(&self, first_ms: i64) -> Option<i64> {
        self.last_ms
            .filter(|last_ms| *last_ms >= first_ms)
            .map(|last_ms| last_ms.saturating_add(self.frame_ms))
    }

    /// Returns the distance between its frames.
    pub(super) fn frame_ms(&self) -> i64 {
        self.frame_ms
    }

    pub(super) fn forget_frames(&mut self) {
        self.last_ms = None;
    }
}
