//! Chunks to messages (RTMP 1.0 sections 5.3 and 5.4).
//!
//! Each chunk stream keeps its own header and its own partial message, so that messages may be interleaved in any way.
//! A payload byte is copied once out of the caller's buffer, and on the average less than once more when a message
//! outgrows its buffer. Memory follows what has arrived, not what was announced.

mod chunk_stream;
mod header;
mod state;

use bytes::{Buf, Bytes};
use thiserror::Error;

use self::{
    chunk_stream::{ChunkStream, find},
    header::{Header, parse_header},
};
use super::{DEFAULT_CHUNK_SIZE, rtmp_crate::msg_type_id};
pub use state::ChunkReaderState;

/// Maximum chunk streams of a peer that publishes. Encoders use 3 to 6.
pub const MAX_CHUNK_STREAMS: usize = 64;

/// Maximum chunk streams of a peer whose media is not wanted: one for control messages and a few for commands.
const COMMAND_CHUNK_STREAMS: usize = 16;

/// Larger chunk sizes mean the same as this: no message is longer (RTMP 1.0 section 5.4.1).
const CHUNK_SIZE_CAP_BYTES: u32 = 0xFF_FFFF;

/// The longest chunk header: three bytes of basic header, eleven of message header, four of extended timestamp.
const HEADER_MAX_BYTES: usize = 18;

/// Maximum initial capacity for a message, in bytes; it grows as the message arrives.
const FIRST_RESERVE_BYTES: usize = 16 * 1024;

/// The initial capacity for a message is at most this many times its first chunk, so that a peer cannot reserve much
/// with little. Eight chunks of the 4 KiB that encoders choose are more than most frames.
const FIRST_RESERVE_CHUNKS: usize = 8;

/// Limits on the memory that a peer can make the reader hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLimits {
    /// The longest audio, video, data or aggregate message, in bytes.
    pub message_limit_bytes: usize,
    /// The longest message of any other type, in bytes.
    pub command_limit_bytes: usize,
    /// The most bytes of all partial messages together.
    pub in_flight_limit_bytes: usize,
    /// The most chunk streams.
    pub chunk_stream_limit: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        Self {
            message_limit_bytes: 8 * 1024 * 1024,
            command_limit_bytes: 64 * 1024,
            in_flight_limit_bytes: 16 * 1024 * 1024,
            chunk_stream_limit: MAX_CHUNK_STREAMS,
        }
    }
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The chunk stream it came on.
    pub csid: u32,
    /// Its type (section 7.1).
    pub type_id: u8,
    /// Its message stream.
    pub stream_id: u32,
    /// Its absolute time in milliseconds; wraps at 2^32.
    pub timestamp_ms: u32,
    /// Its payload, which shares no memory with other messages.
    pub payload: Bytes,
}

/// The reason a peer's chunks cannot be followed any further.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// A chunk refers to a header that never came.
    #[error("the first chunk of chunk stream {csid} has the type {fmt}, which needs one before it")]
    NoHeader {
        /// The chunk stream.
        csid: u32,
        /// The chunk's type.
        fmt: u8,
    },
    /// A new message where the rest of one was due.
    #[error("chunk stream {csid} starts a message inside another")]
    Inside {
        /// The chunk stream.
        csid: u32,
    },
    /// More chunk streams than a peer may use.
    #[error("the peer uses more than {limit} chunk streams")]
    TooManyStreams {
        /// The limit.
        limit: usize,
    },
    /// A message longer than the limit of its type.
    #[error("a message of type {type_id} has {len_bytes} bytes, the limit is {limit_bytes}")]
    TooLong {
        /// The message type.
        type_id: u8,
        /// The announced value.
        len_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// Too much in partial messages.
    #[error("the partial messages have more than {limit_bytes} bytes")]
    TooMuchInFlight {
        /// The limit.
        limit_bytes: usize,
    },
    /// A chunk size of 0 or with the top bit set.
    #[error("the chunk size {0} is not from 1 to 2147483647")]
    ChunkSize(u32),
    /// A Set Chunk Size or Abort without its four bytes.
    #[error("a control message of type {type_id} is cut off")]
    Control {
        /// The message type.
        type_id: u8,
    },
}

/// The position of the reader in the byte stream.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Header,
    Payload { stream: usize, left_bytes: usize },
}

/// The reader of one connection's chunks, after the handshake.
#[derive(Debug)]
pub struct ChunkReader {
    limits: ChunkLimits,
    chunk_size_bytes: usize,
    streams: Vec<ChunkStream>,
    in_flight_bytes: usize,
    stage: Stage,
    /// The start of a header whose rest has not arrived; shorter than [`HEADER_MAX_BYTES`]. When the rest shows that
    /// a header ended earlier, the bytes behind it, which are read before any others.
    pending: Vec<u8>,
}

impl ChunkReader {
    /// A reader at the start of a connection.
    pub fn new(limits: ChunkLimits) -> Self {
        Self {
            limits,
            chunk_size_bytes: DEFAULT_CHUNK_SIZE,
            streams: Vec::new(),
            in_flight_bytes: 0,
            stage: Stage::Header,
            pending: Vec::with_capacity(HEADER_MAX_BYTES),
        }
    }

    /// Consumes `input` up to the end of the next message, or all of it if none ends there. Set Chunk Size and Abort
    /// are obeyed at once and not handed out. After an error the stream cannot be followed any further.
    pub fn next_message(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        while !input.is_empty() || !self.pending.is_empty() {
            match self.stage {
                Stage::Header => match self.read_header(input)? {
                    Some(stream) => self.start_payload(stream),
                    None => return Ok(None),
                },
                Stage::Payload { stream, left_bytes } if self.pending.is_empty() => {
                    self.read_payload(stream, left_bytes, input)?;
                }
                Stage::Payload { stream, left_bytes } => {
                    let pending = std::mem::take(&mut self.pending);
                    let mut rest = &pending[..];
                    self.read_payload(stream, left_bytes, &mut rest)?;
                    self.pending.extend(rest);
                }
            }
            if let Some(message) = self.finish_message()? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// The bytes of messages that have begun and not ended.
    pub fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// The place of the chunk stream whose payload follows, or nothing if the header is not whole.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<usize>, ChunkError> {
        if self.pending.is_empty()
            && let Some(header) = parse_header(input, &self.streams)
        {
            input.advance(header.size_bytes);
            return self.apply(&header).map(Some);
        }
        let known = self.pending.len();
        let more = input.len().min(HEADER_MAX_BYTES.saturating_sub(known));
        self.pending.extend(input.iter().take(more));
        let Some(header) = parse_header(&self.pending, &self.streams) else {
            input.advance(more);
            return Ok(None);
        };
        self.pending.truncate(known);
        self.pending.drain(..header.size_bytes.min(known));
        input.advance(header.size_bytes.saturating_sub(known));
        self.apply(&header).map(Some)
    }

    /// Brings the chunk stream up to date and returns its place.
    fn apply(&mut self, header: &Header) -> Result<usize, ChunkError> {
        let Header { csid, fmt, .. } = *header;
        let place = match find(&self.streams, csid) {
            Some(place) => place,
            None => self.add_stream(csid, fmt)?,
        };
        let Some(stream) = self.streams.get_mut(place) else {
            return Err(ChunkError::NoHeader { csid, fmt });
        };
        match (&stream.arrived, fmt) {
            (Some(_), 3) => return Ok(place),
            (Some(_), _) => return Err(ChunkError::Inside { csid }),
            (None, _) => stream.start(header),
        }
        let limit_bytes = self.limits.of_type(stream.type_id);
        if stream.len_bytes > limit_bytes {
            let (type_id, len_bytes) = (stream.type_id, stream.len_bytes);
            return Err(ChunkError::TooLong { type_id, len_bytes, limit_bytes });
        }
        Ok(place)
    }

    fn add_stream(&mut self, csid: u32, fmt: u8) -> Result<usize, ChunkError> {
        // librtmp starts its control stream with type 1, where the message stream 0 goes without saying.
        if fmt > 1 {
            return Err(ChunkError::NoHeader { csid, fmt });
        }
        let limit = self.limits.chunk_stream_limit;
        if self.streams.len() >= limit {
            return Err(ChunkError::TooManyStreams { limit });
        }
        self.streams.push(ChunkStream::new(csid));
        Ok(self.streams.len() - 1)
    }

    fn start_payload(&mut self, place: usize) {
        if let Some(stream) = self.streams.get(place) {
            let left_bytes = stream.missing_bytes().min(self.chunk_size_bytes);
            self.stage = Stage::Payload { stream: place, left_bytes };
        }
    }

    fn read_payload(&mut self, place: usize, left_bytes: usize, input: &mut &[u8]) -> Result<(), ChunkError> {
        let (taken, rest) = input.split_at_checked(left_bytes).unwrap_or((input, &[]));
        *input = rest;
        self.stage = Stage::Payload { stream: place, left_bytes: left_bytes.saturating_sub(taken.len()) };
        self.in_flight_bytes += taken.len();
        if self.in_flight_bytes > self.limits.in_flight_limit_bytes {
            return Err(ChunkError::TooMuchInFlight { limit_bytes: self.limits.in_flight_limit_bytes });
        }
        if let Some(stream) = self.streams.get_mut(place) {
            stream.append(taken);
        }
        Ok(())
    }

    /// The message that ends where the reader stands, if one does and it is not for the reader itself.
    fn finish_message(&mut self) -> Result<Option<Message>, ChunkError> {
        let Stage::Payload { stream: place, left_bytes: 0 } = self.stage else {
            return Ok(None);
        };
        self.stage = Stage::Header;
        let Some(message) = self.streams.get_mut(place).and_then(ChunkStream::take_message) else {
            return Ok(None);
        };
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(message.payload.len());
        match message.type_id {
            msg_type_id::SET_CHUNK_SIZE => self.set_chunk_size(control_value(&message)?).map(|()| None),
            msg_type_id::ABORT => {
                self.abort(control_value(&message)?);
                Ok(None)
            }
            _ => Ok(Some(message)),
        }
    }

    fn set_chunk_size(&mut self, size_bytes: u32) -> Result<(), ChunkError> {
        if size_bytes == 0 || size_bytes > i32::MAX as u32 {
            return Err(ChunkError::ChunkSize(size_bytes));
        }
        self.chunk_size_bytes = size_bytes.min(CHUNK_SIZE_CAP_BYTES) as usize;
        Ok(())
    }

    fn abort(&mut self, csid: u32) {
        let stream = find(&self.streams, csid).and_then(|place| self.streams.get_mut(place));
        let dropped = stream.and_then(|stream| stream.arrived.take()).unwrap_or_default();
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(dropped.len());
    }
}

impl ChunkReader {
    /// The limits for the messages that are yet to begin.
    pub fn limits(&self) -> ChunkLimits {
        self.limits
    }

    /// Changes the limits for the messages that are yet to begin.
    pub fn set_limits(&mut self, limits: ChunkLimits) {
        self.limits = limits;
    }
}

impl ChunkLimits {
    /// These limits, for a peer whose media is not wanted: it may hold no more than commands.
    pub fn without_media(self) -> Self {
        Self {
            message_limit_bytes: self.command_limit_bytes,
            in_flight_limit_bytes: 4 * self.command_limit_bytes,
            chunk_stream_limit: COMMAND_CHUNK_STREAMS,
            ..self
        }
    }

    fn of_type(&self, type_id: u8) -> usize {
        match type_id {
            msg_type_id::AUDIO
            | msg_type_id::VIDEO
            | msg_type_id::DATA_AMF0
            | msg_type_id::DATA_AMF3
            | msg_type_id::AGGREGATE => self.message_limit_bytes,
            _ => self.command_limit_bytes,
        }
    }
}

impl ChunkStream {
    fn new(csid: u32) -> Self {
        Self {
            csid,
            type_id: 0,
            stream_id: 0,
            len_bytes: 0,
            timestamp_ms: 0,
            delta_ms: 0,
            extended: None,
            arrived: None,
        }
    }

    /// Begins a message as `header` says and the last header completes.
    fn start(&mut self, header: &Header) {
        if let Some(time) = header.time {
            // A type 3 chunk after a type 0 one adds its timestamp (section 5.3.1.2.4).
            self.delta_ms = header.extended.unwrap_or(time);
            self.extended = header.extended;
        }
        if let Some((len_bytes, type_id)) = header.length_and_type {
            self.len_bytes = len_bytes;
            self.type_id = type_id;
        }
        if let Some(stream_id) = header.stream_id {
            self.stream_id = stream_id;
            self.timestamp_ms = 0;
        }
        self.timestamp_ms = self.timestamp_ms.wrapping_add(self.delta_ms);
        self.arrived = Some(Vec::new());
    }

    fn missing_bytes(&self) -> usize {
        self.len_bytes.saturating_sub(self.arrived.as_ref().map_or(0, Vec::len))
    }

    fn append(&mut self, payload: &[u8]) {
        let missing_bytes = self.missing_bytes();
        if let Some(arrived) = &mut self.arrived {
            if arrived.capacity() == 0 {
                // Not before: a buffer that grows is copied whole, also where nothing is in it.
                *arrived = Vec::with_capacity(first_reserve_bytes(payload.len(), missing_bytes));
            } else if payload.len() > arrived.capacity() - arrived.len() {
                arrived.reserve_exact(missing_bytes.min(payload.len().max(arrived.capacity())));
            }
            arrived.extend_from_slice(payload);
        }
    }

    fn take_message(&mut self) -> Option<Message> {
        if self.missing_bytes() > 0 {
            return None;
        }
        Some(Message {
            csid: self.csid,
            type_id: self.type_id,
            stream_id: self.stream_id,
            timestamp_ms: self.timestamp_ms,
            payload: self.arrived.take()?.into(),
        })
    }
}

/// The initial capacity for a message of which `arrived_bytes` are there and `missing_bytes` remain, these among them.
fn first_reserve_bytes(arrived_bytes: usize, missing_bytes: usize) -> usize {
    let expected_bytes =
        missing_bytes.min(FIRST_RESERVE_BYTES).min(arrived_bytes.saturating_mul(FIRST_RESERVE_CHUNKS));
    arrived_bytes.max(expected_bytes)
}

fn control_value(message: &Message) -> Result<u32, ChunkError> {
    let value = (&message.payload[..]).try_get_u32();
    value.map_err(|_| ChunkError::Control { type_id: message.type_id })
}

#[cfg(test)]
mod tests;
