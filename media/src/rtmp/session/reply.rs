//! The server's messages, as bytes that wait to be taken.

use bytes::Bytes;

use super::encoder::CAPS_RECONNECT;
use crate::rtmp::{
    COMMAND_CSID, DATA_CSID, MESSAGE_STREAM_ID, OUT_CHUNK_SIZE_BYTES,
    amf0::{self, Value},
    chunk_writer::{MessageHeader, write_message},
    control, cut_text,
    rtmp_crate::msg_type_id,
};

/// The most that waits to be taken, in bytes. Replies are small: a peer that lets so many pile up reads none.
pub(super) const OUTPUT_LIMIT_BYTES: usize = 256 * 1024;

/// The longest description that is sent to a peer, in bytes; a longer one is cut.
const DESCRIPTION_MAX_BYTES: usize = 512;

/// Some players look for a Flash Media Server of at least version 3 here.
const SERVER_VERSION: &str = "FMS/3,0,1,123";
const SERVER_CAPABILITIES: f64 = 31.0;

const VIDEO_FOURCCS: [&str; 4] = ["avc1", "hvc1", "av01", "vp09"];
const AUDIO_FOURCCS: [&str; 5] = ["mp4a", "Opus", "fLaC", "ac-3", "ec-3"];

/// FourCcInfoMask.CanForward: codecs pass through; nothing is decoded or encoded (E-RTMP v2, NetConnection connect).
const CAN_FORWARD: f64 = 4.0;

/// CapsExMask with Reconnect, and without Multitrack, ModEx and TimestampNanoOffset: none of those is promised.
const EXTENDED_CAPABILITIES: f64 = CAPS_RECONNECT as f64;

/// The chunk size that the peer knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkSize {
    Default,
    Announced,
}

/// The bytes for the peer.
#[derive(Debug)]
pub(super) struct Output {
    bytes: Vec<u8>,
    chunk_size: ChunkSize,
}

impl Output {
    pub fn new() -> Self {
        Self { bytes: Vec::new(), chunk_size: ChunkSize::Default }
    }

    /// The bytes that wait, and whether the peer knows of the chunk size.
    pub fn waiting(&self) -> (&[u8], bool) {
        (&self.bytes, self.chunk_size == ChunkSize::Announced)
    }

    /// Output of which these bytes wait.
    pub fn of_waiting(bytes: Vec<u8>, is_chunk_size_announced: bool) -> Self {
        let chunk_size = if is_chunk_size_announced { ChunkSize::Announced } else { ChunkSize::Default };
        Self { bytes, chunk_size }
    }

    pub fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }

    /// The buffer for the handshake's reply, which comes before all messages.
    pub fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Returns whether more bytes wait than a peer that reads its replies would leave.
    pub fn is_full(&self) -> bool {
        self.bytes.len() > OUTPUT_LIMIT_BYTES
    }

    /// A control message: short enough for every chunk size.
    pub fn control(&mut self, message: Vec<u8>) {
        self.bytes.extend_from_slice(&message);
    }

    pub fn create_stream_result(&mut self, transaction: f64) {
        self.result_even_unasked(transaction, Value::Number(MESSAGE_STREAM_ID.into()));
    }

    pub fn command_error(&mut self, transaction: f64, code: &str, description: &str) {
        let information = information("error", code, description);
        self.command(0, [Value::text("_error"), Value::Number(transaction), Value::Null, information]);
    }

    /// onStatus of level `status`.
    pub fn status(&mut self, code: &str, description: &str) {
        self.on_status("status", code, description);
    }

    /// onStatus of level `error`, after which clients give up.
    pub fn error_status(&mut self, code: &str, description: &str) {
        self.on_status("error", code, description);
    }

    pub fn connect_result(&mut self, transaction: f64, window_bytes: u32) {
        self.control(control::window_ack_size(window_bytes));
        self.control(control::set_peer_bandwidth(window_bytes));
        let information = Value::object([
            ("level", Value::text("status")),
            ("code", Value::text("NetConnection.Connect.Success")),
            ("description", Value::text("Connection succeeded.")),
            ("objectEncoding", Value::Number(0.0)),
        ]);
        self.command(
            0,
            [Value::text("_result"), Value::Number(transaction), server_properties(), information],
        );
    }

    /// A `_result` with one value, unless the peer asked for no answer.
    pub fn result(&mut self, transaction: f64, value: Value) {
        if transaction != 0.0 {
            self.result_even_unasked(transaction, value);
        }
    }

    fn result_even_unasked(&mut self, transaction: f64, value: Value) {
        self.command(0, [Value::text("_result"), Value::Number(transaction), Value::Null, value]);
    }

    fn on_status(&mut self, level: &str, code: &str, description: &str) {
        let information = information(level, code, description);
        let values = [Value::text("onStatus"), Value::Number(0.0), Value::Null, information];
        self.command(MESSAGE_STREAM_ID, values);
    }

    /// A request to publish on another connection (E-RTMP v2, reconnect request). Without `tc_url` it goes to the address of
    /// this one.
    pub fn reconnect_request(&mut self, description: &str, tc_url: Option<&str>) {
        let mut information = information("status", "NetConnection.Connect.ReconnectRequest", description);
        if let (Value::Object(properties), Some(tc_url)) = (&mut information, tc_url) {
            properties.push(("tcUrl".to_owned(), Value::text(tc_url)));
        }
        self.command(0, [Value::text("onStatus"), Value::Number(0.0), Value::Null, information]);
    }

    /// A call with an information object, such as onFCPublish: an encoder waits for the object.
    pub fn call(&mut self, name: &str, code: &str, description: &str) {
        let information = information("status", code, description);
        self.command(0, [Value::text(name), Value::Number(0.0), Value::Null, information]);
    }

    /// Allows the player to look into what it plays; Flash-based players wait for it.
    pub fn sample_access(&mut self) {
        let values = [Value::text("|RtmpSampleAccess"), Value::Boolean(true), Value::Boolean(true)];
        let type_id = msg_type_id::DATA_AMF0;
        self.message(
            MessageHeader { csid: DATA_CSID, type_id, stream_id: MESSAGE_STREAM_ID, timestamp_ms: 0 },
            &values,
        );
    }

    fn command<const N: usize>(&mut self, stream_id: u32, values: [Value; N]) {
        let type_id = msg_type_id::COMMAND_AMF0;
        self.message(MessageHeader { csid: COMMAND_CSID, type_id, stream_id, timestamp_ms: 0 }, &values);
    }

    fn message(&mut self, header: MessageHeader, values: &[Value]) {
        self.announce_chunk_size();
        let mut payload = Vec::new();
        amf0::write_all(values, &mut payload);
        write_message(&mut self.bytes, &header, &payload, OUT_CHUNK_SIZE_BYTES);
    }

    fn announce_chunk_size(&mut self) {
        if self.chunk_size == ChunkSize::Default {
            self.chunk_size = ChunkSize::Announced;
            self.control(control::set_chunk_size(OUT_CHUNK_SIZE_BYTES as u32));
        }
    }
}

fn information(level: &str, code: &str, description: &str) -> Value {
    Value::object([
        ("level", Value::text(level)),
        ("code", Value::text(code)),
        ("description", Value::text(cut_text(description, DESCRIPTION_MAX_BYTES))),
    ])
}

fn server_properties() -> Value {
    let fourccs = VIDEO_FOURCCS.iter().chain(&AUDIO_FOURCCS).map(|fourcc| Value::text(*fourcc)).collect();
    Value::object([
        ("fmsVer", Value::text(SERVER_VERSION)),
        ("capabilities", Value::Number(SERVER_CAPABILITIES)),
        ("mode", Value::Number(1.0)),
        ("fourCcList", Value::StrictArray(fourccs)),
        ("videoFourCcInfoMap", forwarded(&VIDEO_FOURCCS)),
        ("audioFourCcInfoMap", forwarded(&AUDIO_FOURCCS)),
        ("capsEx", Value::Number(EXTENDED_CAPABILITIES)),
    ])
}

fn forwarded(fourccs: &[&str]) -> Value {
    Value::Object(fourccs.iter().map(|fourcc| (fourcc.to_string(), Value::Number(CAN_FORWARD))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_cut_at_a_character() {
        let mut output = Output::new();
        output.command_error(1.0, "a.b", &format!("x{}", "é".repeat(DESCRIPTION_MAX_BYTES)));
        let reply = output.take();
        let characters = reply.windows(2).filter(|pair| *pair == "é".as_bytes()).count();
        assert_eq!(characters, DESCRIPTION_MAX_BYTES / 2 - 1);
    }
}
