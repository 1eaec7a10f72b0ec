//! The state of a session.

use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    COMMANDS_MAX, Event, Phase, Received, Session, SessionConfig,
    encoder::ReconnectHabit,
    reply::{OUTPUT_LIMIT_BYTES, Output},
    request::App,
};
use crate::{
    access::Confidential,
    rtmp::{
        chunk_reader::{ChunkReader, ChunkReaderState},
        handshake::Handshake,
    },
    stream::{
        frame::{Frame, FrameState},
        room::ROOM_NAME_MAX_BYTES,
    },
    upgrade::{Blobs, StateError},
};

const PART: &str = "an RTMP session";

/// The state of a [`Session`]. It has the query of the app, which may be a credential.
#[derive(Clone, Serialize, Deserialize)]
pub struct SessionState {
    phase: Phase,
    reader: ChunkReaderState,
    /// The limits of the reader are those of a peer that publishes, or has.
    takes_media: bool,
    received: Received,
    app: AppState,
    commands_left: u32,
    has_played: bool,
    reconnect_habit: ReconnectHabit,
    has_noted_unreadable: bool,
    output: Vec<u8>,
    is_chunk_size_announced: bool,
    events: Vec<EventState>,
}

/// An event that waits for the owner. Requests are not among them: a session that awaits a decision is not restored.
#[derive(Clone, Serialize, Deserialize)]
enum EventState {
    Frame(FrameState),
    Unpublish,
    Stop,
    Pause,
    Resume,
}

#[derive(Clone, Serialize, Deserialize)]
enum AppState {
    Served { query: String, is_unnamed: bool },
    WithRoom { room: String, query: Option<String> },
    Other(String),
}

impl Session {
    /// Returns whether a state that it gives now can be restored. It cannot while something is undecided: before the connect
    /// command was answered, while a publish or play waits for its answer, and when the connection is to be closed.
    pub fn is_settled(&self) -> bool {
        is_settled(self.phase)
    }

    /// Gives its state. Incomplete messages, and frames that wait as events, go into `blobs`.
    pub fn state(&self, blobs: &mut Blobs) -> SessionState {
        let (output, is_chunk_size_announced) = self.output.waiting();
        SessionState {
            phase: self.phase,
            reader: self.reader.state(blobs),
            takes_media: self.reader.limits() == self.config.chunk_limits(),
            received: self.received,
            app: AppState::of(&self.app),
            commands_left: self.commands_left,
            has_played: self.has_played,
            reconnect_habit: self.reconnect_habit,
            has_noted_unreadable: self.has_noted_unreadable,
            output: output.to_vec(),
            is_chunk_size_announced,
            events: self.events.iter().filter_map(|event| EventState::of(event, blobs)).collect(),
        }
    }

    /// Restores the session under settings that may be others than before; refuses one that is not
    /// [settled](Self::is_settled).
    pub fn restore(
        state: SessionState,
        config: Arc<SessionConfig>,
        blobs: &Blobs,
    ) -> Result<Self, StateError> {
        StateError::unless(is_settled(state.phase), PART, "it is not settled")?;
        StateError::unless(state.received.window_bytes > 0, PART, "the window is empty")?;
        StateError::unless(state.commands_left <= COMMANDS_MAX, PART, "too many commands are left")?;
        // The last reply may have gone over the limit.
        let is_bounded = state.output.len() <= 2 * OUTPUT_LIMIT_BYTES;
        StateError::unless(is_bounded, PART, "too much output waits")?;
        let events = state.events.into_iter().map(|event| event.restored(blobs));
        let limits = config.chunk_limits();
        let limits = if state.takes_media { limits } else { limits.without_media() };
        Ok(Self {
            phase: state.phase,
            handshake: Handshake::done(),
            reader: ChunkReader::restore(state.reader, limits, blobs)?,
            received: state.received,
            app: state.app.restored(config.command_limit_bytes)?,
            commands_left: state.commands_left,
            is_taken_back: false,
            has_played: state.has_played,
            reconnect_habit: state.reconnect_habit,
            has_noted_unreadable: state.has_noted_unreadable,
            events: events.collect::<Result<VecDeque<_>, _>>()?,
            output: Output::of_waiting(state.output, state.is_chunk_size_announced),
            config,
        })
    }
}

/// Returns whether no decision is awaited in this phase.
fn is_settled(phase: Phase) -> bool {
    matches!(phase, Phase::Idle | Phase::Publishing | Phase::Playing | Phase::Paused)
}

impl EventState {
    fn of(event: &Event, blobs: &mut Blobs) -> Option<Self> {
        match event {
            Event::Frame(frame) => Some(Self::Frame(frame.state(blobs))),
            Event::Unpublish => Some(Self::Unpublish),
            Event::Stop => Some(Self::Stop),
            Event::Pause => Some(Self::Pause),
            Event::Resume => Some(Self::Resume),
            Event::Publish(_) | Event::Play(_) | Event::Unreadable(_) => None,
        }
    }

    fn restored(self, blobs: &Blobs) -> Result<Event, StateError> {
        Ok(match self {
            Self::Frame(frame) => Event::Frame(Frame::restore(frame, blobs)?),
            Self::Unpublish => Event::Unpublish,
            Self::Stop => Event::Stop,
            Self::Pause => Event::Pause,
            Self::Resume => Event::Resume,
        })
    }
}

impl AppState {
    fn of(app: &App) -> Self {
        let text = |query: &Confidential| query.expose().to_owned();
        match app {
            App::Served { query, is_unnamed } => Self::Served { query: text(query), is_unnamed: *is_unnamed },
            App::WithRoom { room, query } => {
                Self::WithRoom { room: room.clone(), query: query.as_ref().map(text) }
            }
            App::Other(name) => Self::Other(name.clone()),
        }
    }

    /// The app, if it is no longer than a command that names one.
    fn restored(self, limit_bytes: usize) -> Result<App, StateError> {
        let length = |query: &Option<String>| query.as_ref().map_or(0, String::len);
        let size_bytes = match &self {
            Self::Served { query, .. } => query.len(),
            Self::WithRoom { room, query } => room.len() + length(query),
            Self::Other(name) => name.len(),
        };
        let limit_bytes = limit_bytes.max(ROOM_NAME_MAX_BYTES);
        StateError::unless(size_bytes <= limit_bytes, PART, "the app is too long")?;
        Ok(match self {
            Self::Served { query, is_unnamed } => {
                App::Served { query: Confidential::new(&query), is_unnamed }
            }
            Self::WithRoom { room, query } => {
                App::WithRoom { room, query: query.as_deref().map(Confidential::new) }
            }
            Self::Other(name) => App::Other(name),
        })
    }
}

#[cfg(test)]
mod tests;
