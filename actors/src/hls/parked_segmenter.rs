//! A segmenter that has stopped for an upgrade in place, and its state: what it has of the open segment goes along.

use std::sync::Arc;

use actix::Message;
use serde::{Deserialize, Serialize};
use synctv_media::{
    hls::{
        buffer_pool::BufferPool,
        container::Container,
        fmp4::{Fmp4State, container::Fmp4Container},
        segmenter::{AnnouncedTracks, Segmenter, SegmenterState},
        ts::{TsState, container::TsContainer},
        wall_clock::WallClock,
    },
    stream::room::RoomName,
    upgrade::{Blobs, StateError},
};

use super::{session::HlsSession, settings::HlsForm};

/// The node is upgraded: a segmenter stops where it is, and its session stays. To be sent when its stream has parked.
#[derive(Message)]
#[rtype(result = "Option<ParkedSegmenter>")]
pub(super) struct ParkSegmenter;

/// A segmenter that has stopped.
#[derive(Debug)]
pub(super) struct ParkedSegmenter {
    pub room: RoomName,
    pub form: HlsForm,
    /// The session that it fills, if its stream has one.
    pub session: Option<Arc<HlsSession>>,
    pub cutting: Cutting,
    pub notes: SegmenterNotes,
}

/// Knowledge of a segmenter about its stream, beside the media that it cuts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SegmenterNotes {
    /// The codec does not fit.
    pub is_refusing: bool,
    pub announced: Option<AnnouncedTracks>,
    pub wall_clock: WallClock,
    pub unreadable_frames: u64,
    pub warned_of_cut: bool,
    pub warned_of_skew: bool,
}

/// A segmenter in either form.
#[derive(Debug)]
pub(super) enum Cutting {
    Ts(Segmenter<TsContainer>),
    Fmp4(Segmenter<Fmp4Container>),
}

/// A segmenter as plain data, without its session.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HlsSegmenterState {
    cutting: CuttingState,
    notes: SegmenterNotes,
}

#[derive(Debug, Serialize, Deserialize)]
enum CuttingState {
    Ts(SegmenterState<TsState>),
    Fmp4(SegmenterState<Fmp4State>),
}

/// A container that a node cuts streams into.
pub(super) trait FormContainer: Container {
    /// A segmenter that writes it.
    fn cutting(segmenter: Segmenter<Self>) -> Cutting;
}

impl FormContainer for TsContainer {
    fn cutting(segmenter: Segmenter<Self>) -> Cutting {
        Cutting::Ts(segmenter)
    }
}

impl FormContainer for Fmp4Container {
    fn cutting(segmenter: Segmenter<Self>) -> Cutting {
        Cutting::Fmp4(segmenter)
    }
}

impl ParkedSegmenter {
    /// The segmenter as plain data.
    pub fn plain(&self, blobs: &mut Blobs) -> HlsSegmenterState {
        let cutting = match &self.cutting {
            Cutting::Ts(segmenter) => CuttingState::Ts(segmenter.state(blobs)),
            Cutting::Fmp4(segmenter) => CuttingState::Fmp4(segmenter.state(blobs)),
        };
        HlsSegmenterState { cutting, notes: self.notes.clone() }
    }

    /// The segmenter that gave the state, of a room.
    pub fn restore(
        state: HlsSegmenterState,
        (room, session): (RoomName, Option<Arc<HlsSession>>),
        buffers: &BufferPool,
        blobs: &Blobs,
    ) -> Result<Self, StateError> {
        let (form, cutting) = match state.cutting {
            CuttingState::Ts(cutting) => {
                (HlsForm::Ts, Cutting::Ts(Segmenter::restore(cutting, buffers.clone(), blobs)?))
            }
            CuttingState::Fmp4(cutting) => {
                (HlsForm::Fmp4, Cutting::Fmp4(Segmenter::restore(cutting, buffers.clone(), blobs)?))
            }
        };
        let fits = session.as_ref().is_none_or(|session| session.form() == form && *session.room() == room);
        StateError::unless(fits, "a segmenter", "its session has another form or room")?;
        Ok(Self { room, form, session, cutting, notes: state.notes })
    }
}
