//! What a session does with each command (RTMP 1.0 section 7.2).

use super::{Event, Phase, Session, SessionError, StreamRequest, request};
use crate::{
    access::Confidential,
    rtmp::{amf0::Value, command::Command},
    stream::room::ROOM_NAME_MAX_BYTES,
};

impl Session {
    pub(super) fn on_command(&mut self, command: Command) -> Result<(), SessionError> {
        self.count_command()?;
        match command {
            Command::Connect { transaction, app, .. } => self.on_connect(transaction, &app)?,
            Command::CreateStream { transaction } => {
                let is_connected = self.phase != Phase::Connecting;
                self.require(is_connected, "createStream", transaction)?;
                self.output.create_stream_result(transaction);
            }
            Command::Publish { transaction, stream_name, .. } => {
                self.on_publish(transaction, &stream_name)?
            }
            Command::Play { transaction, stream_name } => self.on_play(transaction, &stream_name)?,
            Command::FcPublish { transaction, .. } => {
                self.output.result(transaction, Value::Undefined);
                self.output.call("onFCPublish");
            }
            Command::FcUnpublish { transaction, .. } => {
                self.require_decided("FCUnpublish", transaction)?;
                self.on_unpublish();
                self.output.result(transaction, Value::Undefined);
                self.output.call("onFCUnpublish");
            }
            Command::DeleteStream | Command::CloseStream => {
                self.require_decided("deleteStream", 0.0)?;
                self.on_unpublish();
                self.on_stop();
            }
            Command::ReleaseStream { transaction }
            | Command::FcSubscribe { transaction }
            | Command::CheckBandwidth { transaction } => self.output.result(transaction, Value::Undefined),
            Command::GetStreamLength { transaction } => self.output.result(transaction, Value::Number(0.0)),
            Command::Playback | Command::Answer => {}
            Command::Other { name, transaction } => self.on_unknown(&name, transaction),
        }
        Ok(())
    }

    fn on_connect(&mut self, transaction: f64, app: &str) -> Result<(), SessionError> {
        self.require(self.phase == Phase::Connecting, "connect", transaction)?;
        let (name, query) = request::split_app(app);
        if name != self.config.app {
            let error = SessionError::App { app: shortened(name) };
            self.output.command_error(transaction, "NetConnection.Connect.Rejected", &error.to_string());
            return Err(error);
        }
        self.app_query = Confidential::new(query);
        self.phase = Phase::Idle;
        self.output.connect_result(transaction, self.config.window_ack_size_bytes);
        Ok(())
    }

    /// Every kind of publish is a live one: nothing is recorded here.
    fn on_publish(&mut self, transaction: f64, stream_name: &str) -> Result<(), SessionError> {
        self.require(self.phase == Phase::Idle, "publish", transaction)?;
        let request = self.request(stream_name, "NetStream.Publish.Denied")?;
        self.phase = Phase::PublishPending;
        self.reader.set_limits(self.config.chunk_limits());
        self.events.push_back(Event::Publish(request));
        Ok(())
    }

    fn on_play(&mut self, transaction: f64, stream_name: &str) -> Result<(), SessionError> {
        self.require(self.phase == Phase::Idle, "play", transaction)?;
        let request = self.request(stream_name, "NetStream.Play.StreamNotFound")?;
        self.phase = Phase::PlayPending;
        self.events.push_back(Event::Play(request));
        Ok(())
    }

    fn on_unpublish(&mut self) {
        if self.phase == Phase::Publishing {
            self.phase = Phase::Idle;
            self.output.status("NetStream.Unpublish.Success", "Unpublished.");
            self.events.push_back(Event::Unpublish);
        }
    }

    fn on_stop(&mut self) {
        if self.phase == Phase::Playing {
            self.phase = Phase::Idle;
            self.events.push_back(Event::Stop);
        }
    }

    fn on_unknown(&mut self, name: &str, transaction: f64) {
        if transaction != 0.0 {
            let description = format!("There is no method {name:?}.");
            self.output.command_error(transaction, "NetConnection.Call.Failed", &description);
        }
    }

    /// The room of a stream name; a refusal with `code` if it is none.
    fn request(&mut self, stream_name: &str, code: &str) -> Result<StreamRequest, SessionError> {
        StreamRequest::parse(self.app_query.expose(), stream_name).map_err(|reason| {
            self.output.error_status(code, &reason.to_string());
            let (room, _) = request::split_query(stream_name);
            SessionError::Room { stream_name: shortened(room), reason }
        })
    }

    /// A request that is taken back before its answer would leave the answer to meet the next request.
    fn require_decided(&mut self, command: &'static str, transaction: f64) -> Result<(), SessionError> {
        let is_decided = !matches!(self.phase, Phase::PublishPending | Phase::PlayPending);
        self.require(is_decided, command, transaction)
    }

    fn require(
        &mut self,
        is_expected: bool,
        command: &'static str,
        transaction: f64,
    ) -> Result<(), SessionError> {
        if is_expected {
            return Ok(());
        }
        let error = SessionError::OutOfOrder { command, phase: self.phase };
        self.output.command_error(transaction, "NetConnection.Call.Failed", &error.to_string());
        Err(error)
    }

    fn count_command(&mut self) -> Result<(), SessionError> {
        if !matches!(self.phase, Phase::Publishing | Phase::Playing) {
            self.commands_left = self.commands_left.checked_sub(1).ok_or(SessionError::TooManyCommands)?;
        }
        Ok(())
    }
}

/// A peer's text, short enough for a log line.
fn shortened(text: &str) -> String {
    // Behind these is no name, but perhaps a token whose `?` was forgotten.
    let name = text.split(['&', '=']).next().unwrap_or_default();
    name.chars().take(ROOM_NAME_MAX_BYTES).collect()
}
