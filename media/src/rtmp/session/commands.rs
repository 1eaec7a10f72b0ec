//! A session's answers to each command (RTMP 1.0 section 7.2).

use super::{
    Event, Phase, ReconnectHabit, Session, SessionError, StreamRequest,
    request::{App, NotARoom},
};
use crate::{
    rtmp::{
        MESSAGE_STREAM_ID,
        amf0::Value,
        chunk_reader::Message,
        command::{Command, CommandError},
        control,
    },
    stream::room::ROOM_NAME_MAX_BYTES,
};

impl Session {
    /// Reads a command and does what it says. One that cannot be read is passed over, as the messages around it are
    /// intact: it must not end a live publish.
    pub(super) fn on_command_message(&mut self, message: &Message) -> Result<(), SessionError> {
        self.count_command()?;
        match Command::parse(message.type_id, &message.payload, self.config.command_limit_bytes) {
            Ok((command, unreadable)) => {
                self.note_unreadable(unreadable.map(CommandError::from));
                self.on_command(command)
            }
            Err(error) => {
                self.note_unreadable(Some(error));
                Ok(())
            }
        }
    }

    /// Reports the first command that cannot be read, or not to its end. A peer that sends one sends many.
    fn note_unreadable(&mut self, error: Option<CommandError>) {
        if let (Some(error), false) = (error, self.has_noted_unreadable) {
            self.has_noted_unreadable = true;
            self.events.push_back(Event::Unreadable(error));
        }
    }

    fn on_command(&mut self, command: Command) -> Result<(), SessionError> {
        match command {
            Command::Connect { transaction, app, flash_ver, caps_ex, .. } => {
                self.reconnect_habit = ReconnectHabit::of(&flash_ver, caps_ex);
                self.on_connect(transaction, &app)?;
            }
            Command::CreateStream { transaction } => self.on_create_stream(transaction)?,
            Command::Publish { transaction, stream_name, .. } => {
                self.on_publish(transaction, &stream_name)?
            }
            Command::Play { transaction, stream_name } => self.on_play(transaction, &stream_name)?,
            Command::FcPublish { transaction, .. } => {
                self.output.result(transaction, Value::Undefined);
                self.output.call("onFCPublish", "NetStream.Publish.Start", "Publishing may start.");
            }
            Command::FcUnpublish { transaction, .. } => {
                self.on_unpublish();
                self.output.result(transaction, Value::Undefined);
                self.output.call("onFCUnpublish", "NetStream.Unpublish.Success", "Unpublished.");
            }
            Command::DeleteStream | Command::CloseStream => {
                self.on_unpublish();
                self.on_stop();
            }
            Command::Pause { is_pause } => self.on_pause(is_pause),
            Command::Seek => self.on_seek(),
            Command::ReleaseStream { transaction }
            | Command::FcSubscribe { transaction }
            | Command::CheckBandwidth { transaction } => self.output.result(transaction, Value::Undefined),
            Command::GetStreamLength { transaction } => self.output.result(transaction, Value::Number(0.0)),
            Command::Receive | Command::Answer => {}
            Command::Other { name, transaction } => self.on_unknown(&name, transaction),
        }
        Ok(())
    }

    /// Any app is let in. Another one than that of the server is refused at the publish or play, whose status encoders
    /// show: of an error in answer to connect, FFmpeg says first that it may be an authentication method, and OBS nothing.
    fn on_connect(&mut self, transaction: f64, app: &str) -> Result<(), SessionError> {
        if self.phase != Phase::Connecting {
            return self.out_of_order("connect", transaction);
        }
        if let Some(reason) = &self.config.refuses_connect {
            self.output.command_error(transaction, "NetConnection.Connect.Rejected", reason);
            return Err(SessionError::ConnectRefused(reason.clone()));
        }
        self.app = App::parse(app, &self.config.app);
        self.phase = Phase::Idle;
        self.output.connect_result(transaction, self.config.window_ack_size_bytes);
        Ok(())
    }

    fn on_create_stream(&mut self, transaction: f64) -> Result<(), SessionError> {
        if self.phase == Phase::Connecting {
            return self.out_of_order("createStream", transaction);
        }
        self.output.create_stream_result(transaction);
        Ok(())
    }

    /// Every kind of publish is a live one: nothing is recorded here.
    fn on_publish(&mut self, transaction: f64, stream_name: &str) -> Result<(), SessionError> {
        if self.phase != Phase::Idle {
            return self.out_of_order("publish", transaction);
        }
        let request = self.request(stream_name, "NetStream.Publish.Denied")?;
        self.phase = Phase::PublishPending;
        self.reader.set_limits(self.config.chunk_limits());
        self.events.push_back(Event::Publish(request));
        Ok(())
    }

    /// A play while another one runs takes its place, if it names a room.
    fn on_play(&mut self, transaction: f64, stream_name: &str) -> Result<(), SessionError> {
        let is_playing = matches!(self.phase, Phase::Playing | Phase::Paused);
        if !is_playing && self.phase != Phase::Idle {
            return self.out_of_order("play", transaction);
        }
        match self.request(stream_name, "NetStream.Play.StreamNotFound") {
            Ok(request) => {
                self.on_stop();
                self.phase = Phase::PlayPending;
                self.events.push_back(Event::Play(request));
                Ok(())
            }
            Err(_) if is_playing => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn on_unpublish(&mut self) {
        match self.phase {
            Phase::PublishPending => self.is_taken_back = true,
            Phase::Publishing => {
                self.phase = Phase::Idle;
                self.output.status("NetStream.Unpublish.Success", "Unpublished.");
                self.events.push_back(Event::Unpublish);
            }
            _ => {}
        }
    }

    pub(super) fn on_stop(&mut self) {
        match self.phase {
            Phase::PlayPending => self.is_taken_back = true,
            Phase::Playing | Phase::Paused => {
                self.phase = Phase::Idle;
                self.events.push_back(Event::Stop);
            }
            _ => {}
        }
    }

    fn on_pause(&mut self, is_pause: bool) {
        match (self.phase, is_pause) {
            (Phase::Playing, true) => {
                self.phase = Phase::Paused;
                self.events.push_back(Event::Pause);
                self.output.control(control::stream_eof(MESSAGE_STREAM_ID));
            }
            (Phase::Paused, false) => {
                self.phase = Phase::Playing;
                self.events.push_back(Event::Resume);
                self.output.control(control::stream_begin(MESSAGE_STREAM_ID));
            }
            (Phase::Playing | Phase::Paused, _) => {}
            _ => return,
        }
        match is_pause {
            true => self.output.status("NetStream.Pause.Notify", "Paused."),
            false => self.output.status("NetStream.Unpause.Notify", "Playing on at the live edge."),
        }
    }

    /// A live stream has one position. An error would end players; without an answer, FFmpeg throws all media away.
    fn on_seek(&mut self) {
        if matches!(self.phase, Phase::Playing | Phase::Paused) {
            self.output.status("NetStream.Seek.Notify", "A live stream plays on where it is.");
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
        let not_a_room = match self.app.request(stream_name, &self.config.app) {
            Ok(request) => return Ok(request),
            Err(not_a_room) => not_a_room,
        };
        let (error, description) = match not_a_room {
            NotARoom::App(app) => {
                let error = SessionError::App { app: shortened(&app), served: self.config.app.clone() };
                (error.clone(), error.to_string())
            }
            NotARoom::Name(name, reason) => {
                let description = reason.to_string();
                (SessionError::Room { stream_name: shortened(&name), reason }, description)
            }
        };
        self.output.error_status(code, &description);
        Err(error)
    }

    /// Refuses a command. A publish or play that runs or is being decided continues; a client that was not even
    /// connected is disconnected.
    fn out_of_order(&mut self, command: &'static str, transaction: f64) -> Result<(), SessionError> {
        let error = SessionError::OutOfOrder { command, phase: self.phase };
        self.output.command_error(transaction, "NetConnection.Call.Failed", &error.to_string());
        if self.phase == Phase::Connecting { Err(error) } else { Ok(()) }
    }

    fn count_command(&mut self) -> Result<(), SessionError> {
        if !matches!(self.phase, Phase::Publishing | Phase::Playing | Phase::Paused) {
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
