//! A minimal RTMP client without I/O, for tests and the load generator. It trusts the server it talks to.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use thiserror::Error;

use super::{
    COMMAND_CSID, MESSAGE_STREAM_ID, OUT_CHUNK_SIZE_BYTES,
    amf0::{self, Amf0Error, Value},
    chunk_reader::{ChunkError, ChunkLimits, ChunkReader, Message},
    chunk_writer::{MessageHeader, write_message},
    control,
    mux::csid_of,
    rtmp_crate::{HANDSHAKE_SIZE_BYTES, RTMP_EVENT_PING, msg_type_id},
};
use crate::stream::frame::{Frame, Track};

const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 2.0;
const START: f64 = 3.0;
const REPLY_SIZE_BYTES: usize = 1 + 2 * HANDSHAKE_SIZE_BYTES;

/// Events of the server.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// It accepted the publish or play. Comes behind the status that says so.
    Ready,
    /// It sent an onStatus, or an `_error` with the same information.
    Status {
        /// Such as `NetStream.Publish.Start`.
        code: String,
        /// In a sentence.
        description: String,
        /// `status` or `error`.
        level: String,
        /// The address of a reconnect request, if it has one.
        tc_url: Option<String>,
    },
    /// It sent media.
    Frame(Frame),
}

/// The reason the server cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientError {
    /// Its chunks cannot be followed.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A command of its cannot be read.
    #[error(transparent)]
    Amf0(#[from] Amf0Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Publisher,
    Player,
}

#[derive(Debug)]
enum Stage {
    Handshake(Vec<u8>),
    Messages,
}

/// One client connection: it connects, creates a stream and publishes or plays without being asked.
#[derive(Debug)]
pub struct Client {
    role: Role,
    app: String,
    stream_name: String,
    flash_ver: &'static str,
    caps_ex: f64,
    stage: Stage,
    reader: ChunkReader,
    events: VecDeque<ClientEvent>,
    output: Vec<u8>,
}

impl Client {
    /// A client that publishes `stream_name` to `app`.
    pub fn publisher(app: &str, stream_name: &str) -> Self {
        Self::new(Role::Publisher, app, stream_name)
    }

    /// A client that plays `stream_name` from `app`.
    pub fn player(app: &str, stream_name: &str) -> Self {
        Self::new(Role::Player, app, stream_name)
    }

    fn new(role: Role, app: &str, stream_name: &str) -> Self {
        let mut output = vec![0; 1 + HANDSHAKE_SIZE_BYTES];
        output[0] = 3;
        Self {
            role,
            app: app.to_owned(),
            stream_name: stream_name.to_owned(),
            flash_ver: "FMLE/3.0 (compatible; synctv)",
            caps_ex: 0.0,
            stage: Stage::Handshake(Vec::new()),
            reader: ChunkReader::new(ChunkLimits::default()),
            events: VecDeque::new(),
            output,
        }
    }

    /// The client, under the name of another program.
    pub fn calling_itself(self, flash_ver: &'static str) -> Self {
        Self { flash_ver, ..self }
    }

    /// The client, which says that it takes reconnect requests.
    pub fn taking_reconnect_requests(self) -> Self {
        Self { caps_ex: 1.0, ..self }
    }

    /// Takes what the server sent, in any pieces.
    pub fn feed(&mut self, mut input: &[u8]) -> Result<(), ClientError> {
        if let Stage::Handshake(arrived) = &mut self.stage {
            let missing = input.len().min(REPLY_SIZE_BYTES - arrived.len());
            arrived.extend_from_slice(&input[..missing]);
            input.advance(missing);
            if arrived.len() < REPLY_SIZE_BYTES {
                return Ok(());
            }
            self.output.extend_from_slice(&arrived[1..1 + HANDSHAKE_SIZE_BYTES]);
            self.stage = Stage::Messages;
            self.connect()?;
        }
        while let Some(message) = self.reader.next_message(&mut input)? {
            self.on_message(message)?;
        }
        Ok(())
    }

    /// The next thing the server did.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Takes the bytes to send to the server; empty if there are none.
    pub fn take_output(&mut self) -> Bytes {
        std::mem::take(&mut self.output).into()
    }

    /// Sends media. The server expects it after [`ClientEvent::Ready`].
    pub fn send_frame(&mut self, frame: &Frame) {
        let Frame { track, timestamp_ms, payload } = frame;
        let (csid, type_id) = (csid_of(*track), track.type_id());
        let header =
            MessageHeader { csid, type_id, stream_id: MESSAGE_STREAM_ID, timestamp_ms: *timestamp_ms };
        write_message(&mut self.output, &header, payload, OUT_CHUNK_SIZE_BYTES);
    }

    /// Ends the publish or play, as a client that leaves in good order does.
    pub fn delete_stream(&mut self) {
        let stream_id = Value::Number(f64::from(MESSAGE_STREAM_ID));
        self.send_command(0, &[Value::text("deleteStream"), Value::Number(0.0), Value::Null, stream_id]);
    }

    fn connect(&mut self) -> Result<(), ClientError> {
        self.output.extend(control::set_chunk_size(OUT_CHUNK_SIZE_BYTES as u32));
        let properties = Value::object([
            ("app", Value::text(&*self.app)),
            ("flashVer", Value::text(self.flash_ver)),
            ("capsEx", Value::Number(self.caps_ex)),
            ("tcUrl", Value::text(format!("rtmp://localhost/{}", self.app))),
        ]);
        self.send_command(0, &[Value::text("connect"), Value::Number(CONNECT), properties]);
        Ok(())
    }

    fn start(&mut self) {
        let name = Value::text(&*self.stream_name);
        let transaction = Value::Number(START);
        match self.role {
            Role::Publisher => {
                let values = [Value::text("publish"), transaction, Value::Null, name, Value::text("live")];
                self.send_command(MESSAGE_STREAM_ID, &values);
            }
            Role::Player => {
                self.send_command(MESSAGE_STREAM_ID, &[Value::text("play"), transaction, Value::Null, name]);
            }
        }
    }

    fn on_message(&mut self, message: Message) -> Result<(), ClientError> {
        let Message { type_id, timestamp_ms, payload, .. } = message;
        match type_id {
            msg_type_id::COMMAND_AMF0 => self.on_command(&amf0::read_all(&payload)?),
            msg_type_id::USER_CONTROL_EVENT => self.on_user_control(&payload)?,
            _ => {
                let frame = Track::from_type_id(type_id).map(|track| Frame { track, timestamp_ms, payload });
                self.events.extend(frame.map(ClientEvent::Frame));
            }
        }
        Ok(())
    }

    fn on_user_control(&mut self, mut payload: &[u8]) -> Result<(), ClientError> {
        if let (Ok(RTMP_EVENT_PING), Ok(timestamp_ms)) = (payload.try_get_u16(), payload.try_get_u32()) {
            self.output.extend(control::ping_response(timestamp_ms));
        }
        Ok(())
    }

    fn on_command(&mut self, values: &[Value]) {
        let name = values.first().and_then(Value::as_str).unwrap_or_default();
        let transaction = values.get(1).and_then(Value::as_number);
        match (name, transaction) {
            ("_result", Some(CONNECT)) => {
                let values = [Value::text("createStream"), Value::Number(CREATE_STREAM), Value::Null];
                self.send_command(0, &values);
            }
            ("_result", Some(CREATE_STREAM)) => self.start(),
            ("onStatus" | "_error", _) => self.on_status(values.get(3).unwrap_or(&Value::Null)),
            _ => {}
        }
    }

    fn on_status(&mut self, information: &Value) {
        let text = |key| information.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (code, tc_url) = (text("code"), information.get("tcUrl").and_then(Value::as_str));
        let is_start = code == "NetStream.Publish.Start" || code == "NetStream.Play.Start";
        let (description, level) = (text("description"), text("level"));
        let status = ClientEvent::Status { code, description, level, tc_url: tc_url.map(str::to_owned) };
        self.events.push_back(status);
        if is_start {
            self.events.push_back(ClientEvent::Ready);
        }
    }

    fn send_command(&mut self, stream_id: u32, values: &[Value]) {
        let mut payload = Vec::new();
        amf0::write_all(values, &mut payload);
        let type_id = msg_type_id::COMMAND_AMF0;
        let header = MessageHeader { csid: COMMAND_CSID, type_id, stream_id, timestamp_ms: 0 };
        write_message(&mut self.output, &header, &payload, OUT_CHUNK_SIZE_BYTES);
    }
}
