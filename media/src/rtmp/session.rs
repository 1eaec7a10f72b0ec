//! The server's side of one RTMP connection.
//!
//! Feed the peer's bytes, then drain [`Session::poll_event`] and [`Session::take_output`]. Commands that need no
//! decision are answered; a publish or play waits for [`Session::accept`] or [`Session::refuse`], and the media that a
//! publisher sends meanwhile waits behind it as events.

mod commands;
mod config;
mod encoder;
mod error;
mod event;
mod media;
mod phase;
mod reply;
mod request;
mod state;

use std::{collections::VecDeque, sync::Arc};

use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};

use super::{
    MESSAGE_STREAM_ID,
    chunk_reader::{ChunkReader, Message},
    control,
    handshake::Handshake,
    rtmp_crate::{RTMP_EVENT_PING, msg_type_id},
};
use crate::{access::Confidential, cluster::standing::NodeUrl, stream::frame::Frame};
pub use config::{COMMANDS_MAX, SessionConfig};
pub use encoder::ReconnectHabit;
pub use error::SessionError;
pub use event::{Event, Refusal};
pub use phase::Phase;
use reply::Output;
use request::App;
pub use request::StreamRequest;
pub use state::SessionState;

/// The bytes received, and those acknowledged to the peer (RTMP 1.0 sections 5.4.3 and 5.4.4).
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Received {
    total_bytes: u32,
    acknowledged_bytes: u32,
    window_bytes: u32,
}

impl Received {
    /// The total to acknowledge, if a window's worth is not.
    fn due(&mut self) -> Option<u32> {
        if self.total_bytes.wrapping_sub(self.acknowledged_bytes) < self.window_bytes {
            return None;
        }
        self.acknowledged_bytes = self.total_bytes;
        Some(self.total_bytes)
    }
}

/// The server's side of one connection.
#[derive(Debug)]
pub struct Session {
    config: Arc<SessionConfig>,
    phase: Phase,
    handshake: Handshake,
    reader: ChunkReader,
    received: Received,
    app: App,
    commands_left: u32,
    /// The pending publish or play was ended before its answer, which is awaited nevertheless: it would meet the next
    /// request.
    is_taken_back: bool,
    has_played: bool,
    reconnect_habit: ReconnectHabit,
    has_noted_unreadable: bool,
    events: VecDeque<Event>,
    output: Output,
}

impl Session {
    /// A session at the start of its connection.
    pub fn new(config: Arc<SessionConfig>) -> Self {
        let limits = config.chunk_limits().without_media();
        let window_bytes = config.window_ack_size_bytes.max(1);
        Self {
            config,
            phase: Phase::Handshake,
            handshake: Handshake::new(),
            reader: ChunkReader::new(limits),
            received: Received { total_bytes: 0, acknowledged_bytes: 0, window_bytes },
            app: App::Served { query: Confidential::default(), is_unnamed: true },
            commands_left: COMMANDS_MAX,
            is_taken_back: false,
            has_played: false,
            reconnect_habit: ReconnectHabit::default(),
            has_noted_unreadable: false,
            events: VecDeque::new(),
            output: Output::new(),
        }
    }

    /// Takes the peer's bytes, in any pieces. After an error the session is closed: send the rest of
    /// [`Session::take_output`], which reports the error to the peer if RTMP can, and close the connection.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        if self.phase == Phase::Closed {
            return Err(SessionError::Closed);
        }
        let outcome = self.take_in(bytes);
        if outcome.is_err() {
            self.phase = Phase::Closed;
        }
        outcome
    }

    /// The next thing the peer did. Drain after every [`Session::feed`].
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Appends the frames that come next to `frames`, up to another event: a read has many of them.
    pub fn poll_frames(&mut self, frames: &mut Vec<Frame>) {
        while let Some(Event::Frame(_)) = self.events.front()
            && let Some(Event::Frame(frame)) = self.events.pop_front()
        {
            frames.push(frame);
        }
    }

    /// The number of events that [`Session::poll_event`] has for now.
    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// Takes the bytes to send to the peer, if any. Leaving over 256 KiB here makes the next feed fail.
    pub fn take_output(&mut self) -> Bytes {
        self.output.take()
    }

    /// The connection's phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The time that the peer lets pass before it reconnects.
    pub fn reconnect_habit(&self) -> ReconnectHabit {
        self.reconnect_habit
    }

    /// Accepts the last [`Event::Publish`] or [`Event::Play`]. Does nothing if none is pending.
    pub fn accept(&mut self) {
        match self.phase {
            Phase::PublishPending => {
                self.phase = Phase::Publishing;
                self.output.status("NetStream.Publish.Start", "Publishing.");
            }
            Phase::PlayPending => {
                self.phase = Phase::Playing;
                self.has_played = true;
                self.output.control(control::stream_begin(MESSAGE_STREAM_ID));
                self.output.status("NetStream.Play.Reset", "Playing and resetting.");
                self.output.status("NetStream.Play.Start", "Playing.");
                self.output.sample_access();
            }
            _ => return,
        }
        self.commands_left = COMMANDS_MAX;
        if std::mem::take(&mut self.is_taken_back) {
            self.on_unpublish();
            self.on_stop();
        }
    }

    /// Refuses the last [`Event::Publish`] or [`Event::Play`]. Then the phase is [`Phase::Closed`], and the connection
    /// is to be closed, unless it has played before: such a player looks for another room. Does nothing if nothing is
    /// pending.
    pub fn refuse(&mut self, refusal: &Refusal) {
        let (Refusal::BadName { description }
        | Refusal::Denied { description }
        | Refusal::StreamNotFound { description }) = refusal;
        let code = match (self.phase, refusal) {
            (Phase::PublishPending, Refusal::BadName { .. }) => "NetStream.Publish.BadName",
            (Phase::PublishPending, _) => "NetStream.Publish.Denied",
            (Phase::PlayPending, Refusal::StreamNotFound { .. }) => "NetStream.Play.StreamNotFound",
            (Phase::PlayPending, _) => "NetStream.Play.Failed",
            _ => return,
        };
        self.output.error_status(code, description);
        let looks_on = self.phase == Phase::PlayPending && self.has_played;
        self.phase = if looks_on { Phase::Idle } else { Phase::Closed };
        self.is_taken_back = false;
    }

    /// Asks the peer to publish or play on another connection, to the address `to` or else to its own, and to leave this one
    /// then (E-RTMP v2, reconnect request). The keys in its address go with it. Returns whether the peer does so when it is
    /// asked; otherwise nothing is sent.
    pub fn request_reconnect(&mut self, description: &str, to: Option<&NodeUrl>) -> bool {
        let is_busy = matches!(self.phase, Phase::Publishing | Phase::Playing | Phase::Paused);
        let takes_requests = is_busy && self.reconnect_habit == ReconnectHabit::OnRequest;
        if takes_requests {
            let tc_url = to.and_then(|url| self.app.at(url));
            self.output.reconnect_request(description, tc_url.as_deref());
        }
        takes_requests
    }

    /// Ends the peer's publish, after which the connection is to be closed. Does nothing if it does not publish.
    pub fn end_publish(&mut self, description: &str) {
        if matches!(self.phase, Phase::PublishPending | Phase::Publishing) {
            // With the level "status" FFmpeg and OBS would go on sending; this code is one that librtmp closes upon.
            self.output.error_status("NetStream.Failed", description);
            self.phase = Phase::Closed;
        }
    }

    /// Ends the peer's play. It may ask for another one. Does nothing if it does not play.
    pub fn end_play(&mut self, description: &str) {
        if matches!(self.phase, Phase::Playing | Phase::Paused) {
            self.output.control(control::stream_eof(MESSAGE_STREAM_ID));
            self.output.status("NetStream.Play.UnpublishNotify", description);
            self.output.status("NetStream.Play.Stop", description);
            self.phase = Phase::Idle;
        }
    }

    /// Asks the peer for a sign of life, which arrives as bytes fed.
    pub fn ping(&mut self, timestamp_ms: u32) {
        if !matches!(self.phase, Phase::Handshake | Phase::Closed) {
            self.output.control(control::ping_request(timestamp_ms));
        }
    }

    fn take_in(&mut self, mut input: &[u8]) -> Result<(), SessionError> {
        self.received.total_bytes = self.received.total_bytes.wrapping_add(input.len() as u32);
        if self.phase == Phase::Handshake {
            self.handshake.feed(&mut input, self.output.raw())?;
            if self.handshake.is_done() {
                self.phase = Phase::Connecting;
            }
        }
        if self.phase == Phase::Handshake {
            return self.check_output();
        }
        while let Some(message) = self.reader.next_message(&mut input)? {
            self.on_message(message)?;
            self.check_output()?;
        }
        if let Some(total_bytes) = self.received.due() {
            self.output.control(control::acknowledgement(total_bytes));
        }
        self.check_output()
    }

    /// A peer that makes this side reply without reading would make it hold the replies.
    fn check_output(&self) -> Result<(), SessionError> {
        if self.output.is_full() { Err(SessionError::OutputFull) } else { Ok(()) }
    }

    fn on_message(&mut self, message: Message) -> Result<(), SessionError> {
        match message.type_id {
            msg_type_id::COMMAND_AMF0 | msg_type_id::COMMAND_AMF3 => self.on_command_message(&message)?,
            msg_type_id::WIN_ACKNOWLEDGEMENT_SIZE => self.on_window(&message.payload),
            msg_type_id::USER_CONTROL_EVENT => self.on_user_control(&message.payload),
            _ if matches!(self.phase, Phase::PublishPending | Phase::Publishing) && !self.is_taken_back => {
                media::frames_of(message, |frame| self.events.push_back(Event::Frame(frame)));
            }
            _ => {}
        }
        Ok(())
    }

    fn on_window(&mut self, mut payload: &[u8]) {
        if let Ok(window_bytes @ 1..) = payload.try_get_u32() {
            self.received.window_bytes = window_bytes;
        }
    }

    fn on_user_control(&mut self, mut payload: &[u8]) {
        if let (Ok(RTMP_EVENT_PING), Ok(timestamp_ms)) = (payload.try_get_u16(), payload.try_get_u32()) {
            self.output.control(control::ping_response(timestamp_ms));
        }
    }
}

#[cfg(test)]
mod tests;
