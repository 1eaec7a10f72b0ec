//! Chunks to messages (RTMP 1.0 sections 5.3 and 5.4).
//!
//! Each chunk stream keeps its own header and its own partial message, so that messages may be interleaved in any way.
//! A payload byte is copied once out of the caller's buffer, and on the average less than once more when a message
//! outgrows its buffer. Memory follows what has arrived, not what was announced.

use bytes::{Buf, Bytes};
use thiserror::Error;

use super::{DEFAULT_CHUNK_SIZE, borrowed::msg_type_id, chunk_writer::EXTENDED_FROM_MS};

/// How many chunk streams a peer may use. Encoders use 3 to 6.
pub const MAX_CHUNK_STREAMS: usize = 64;

/// Larger chunk sizes mean the same as this: no message is longer (RTMP 1.0 section 5.4.1).
const CHUNK_SIZE_CAP_BYTES: u32 = 0xFF_FFFF;

/// The longest chunk header: three bytes of basic header, eleven of message header, four of extended timestamp.
const HEADER_MAX_BYTES: usize = 18;

/// What is set aside for a message when it starts; it grows with what arrives.
const FIRST_RESERVE_BYTES: usize = 16 * 1024;

/// What a peer may make the reader hold.
#[derive(Debug, Clone, Copy)]
pub struct ChunkLimits {
    /// The longest audio, video, data or aggregate message, in bytes.
    pub message_limit_bytes: usize,
    /// The longest message of any other type, in bytes.
    pub command_limit_bytes: usize,
    /// The most bytes of all partial messages together.
    pub in_flight_limit_bytes: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        Self {
            message_limit_bytes: 8 * 1024 * 1024,
            command_limit_bytes: 64 * 1024,
            in_flight_limit_bytes: 16 * 1024 * 1024,
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

/// Why a peer's chunks cannot be followed any further.
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
    /// More than [`MAX_CHUNK_STREAMS`].
    #[error("the peer uses more than {MAX_CHUNK_STREAMS} chunk streams")]
    TooManyStreams,
    /// A message longer than the limit of its type.
    #[error("a message of type {type_id} has {len_bytes} bytes, the limit is {limit_bytes}")]
    TooLong {
        /// The message type.
        type_id: u8,
        /// What was announced.
        len_bytes: usize,
        /// What is allowed.
        limit_bytes: usize,
    },
    /// Too much in partial messages.
    #[error("the partial messages have more than {limit_bytes} bytes")]
    TooMuchInFlight {
        /// What is allowed.
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

/// What one chunk stream remembers (section 5.3.1.2): the last header, and the message that is arriving.
#[derive(Debug)]
struct ChunkStream {
    csid: u32,
    type_id: u8,
    stream_id: u32,
    len_bytes: usize,
    timestamp_ms: u32,
    /// What a type 3 chunk that starts a message adds again.
    delta_ms: u32,
    /// The extended field of the last type 0, 1 or 2 chunk, which type 3 chunks repeat.
    extended: Option<u32>,
    arrived: Option<Vec<u8>>,
}

/// Where the reader stands in the byte stream.
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
            return Err(ChunkError::TooLong {
                type_id,
                len_bytes,
                limit_bytes,
            });
        }
        Ok(place)
    }

    fn add_stream(&mut self, csid: u32, fmt: u8) -> Result<usize, ChunkError> {
        // librtmp starts its control stream with type 1, where the message stream 0 goes without saying.
        if fmt > 1 {
            return Err(ChunkError::NoHeader { csid, fmt });
        }
        if self.streams.len() >= MAX_CHUNK_STREAMS {
            return Err(ChunkError::TooManyStreams);
        }
        self.streams.push(ChunkStream::new(csid));
        Ok(self.streams.len() - 1)
    }

    fn start_payload(&mut self, place: usize) {
        if let Some(stream) = self.streams.get(place) {
            let left_bytes = stream.missing_bytes().min(self.chunk_size_bytes);
            self.stage = Stage::Payload {
                stream: place,
                left_bytes,
            };
        }
    }

    fn read_payload(&mut self, place: usize, left_bytes: usize, input: &mut &[u8]) -> Result<(), ChunkError> {
        let (taken, rest) = input.split_at_checked(left_bytes).unwrap_or((input, &[]));
        *input = rest;
        self.stage = Stage::Payload {
            stream: place,
            left_bytes: left_bytes.saturating_sub(taken.len()),
        };
        self.in_flight_bytes += taken.len();
        if self.in_flight_bytes > self.limits.in_flight_limit_bytes {
            return Err(ChunkError::TooMuchInFlight {
                limit_bytes: self.limits.in_flight_limit_bytes,
            });
        }
        if let Some(stream) = self.streams.get_mut(place) {
            stream.append(taken);
        }
        Ok(())
    }

    /// The message that ends where the reader stands, if one does and it is not for the reader itself.
    fn finish_message(&mut self) -> Result<Option<Message>, ChunkError> {
        let Stage::Payload {
            stream: place,
            left_bytes: 0,
        } = self.stage
        else {
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
        let dropped = stream
            .and_then(|stream| stream.arrived.take())
            .unwrap_or_default();
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(dropped.len());
    }
}

impl ChunkLimits {
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
        self.arrived = Some(Vec::with_capacity(self.len_bytes.min(FIRST_RESERVE_BYTES)));
    }

    fn missing_bytes(&self) -> usize {
        self.len_bytes
            .saturating_sub(self.arrived.as_ref().map_or(0, Vec::len))
    }

    fn append(&mut self, payload: &[u8]) {
        let missing_bytes = self.missing_bytes();
        if let Some(arrived) = &mut self.arrived {
            if payload.len() > arrived.capacity() - arrived.len() {
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

fn find(streams: &[ChunkStream], csid: u32) -> Option<usize> {
    streams.iter().position(|stream| stream.csid == csid)
}

fn control_value(message: &Message) -> Result<u32, ChunkError> {
    let value = (&message.payload[..]).try_get_u32();
    value.map_err(|_| ChunkError::Control {
        type_id: message.type_id,
    })
}

/// One chunk's header, with what its type leaves out left out.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    size_bytes: usize,
    fmt: u8,
    csid: u32,
    time: Option<u32>,
    length_and_type: Option<(usize, u8)>,
    stream_id: Option<u32>,
    extended: Option<u32>,
}

/// The header at the start of `bytes`, or nothing if more bytes are needed to tell.
fn parse_header(bytes: &[u8], streams: &[ChunkStream]) -> Option<Header> {
    let mut rest = bytes;
    let (fmt, csid) = parse_basic_header(&mut rest)?;
    let mut header = Header {
        size_bytes: 0,
        fmt,
        csid,
        time: None,
        length_and_type: None,
        stream_id: None,
        extended: None,
    };
    if fmt <= 2 {
        header.time = Some(rest.try_get_uint(3).ok()? as u32);
    }
    if fmt <= 1 {
        header.length_and_type = Some((rest.try_get_uint(3).ok()? as usize, rest.try_get_u8().ok()?));
    }
    if fmt == 0 {
        header.stream_id = Some(rest.try_get_u32_le().ok()?);
    }
    if header.time == Some(EXTENDED_FROM_MS) {
        header.extended = Some(rest.try_get_u32().ok()?);
    }
    if fmt == 3 {
        skip_repeated_extended(
            &mut rest,
            find(streams, csid).and_then(|place| streams.get(place)),
        )?;
    }
    header.size_bytes = bytes.len() - rest.len();
    Some(header)
}

fn parse_basic_header(rest: &mut &[u8]) -> Option<(u8, u32)> {
    let first = rest.try_get_u8().ok()?;
    let csid = match first & 0x3F {
        0 => 64 + u32::from(rest.try_get_u8().ok()?),
        1 => 64 + u32::from(rest.try_get_u16_le().ok()?),
        csid => u32::from(csid),
    };
    Some((first >> 6, csid))
}

/// A type 3 chunk repeats the extended timestamp (section 5.3.1.3), but some encoders leave it out: what differs from
/// it is payload. Nothing if the bytes so far are equal and too few.
fn skip_repeated_extended(rest: &mut &[u8], stream: Option<&ChunkStream>) -> Option<()> {
    let Some(extended) = stream.and_then(|stream| stream.extended) else {
        return Some(());
    };
    let repeated = extended.to_be_bytes();
    if let Some(after) = rest.strip_prefix(&repeated) {
        *rest = after;
        return Some(());
    }
    if repeated.starts_with(rest) {
        None
    } else {
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::{
        borrowed,
        chunk_writer::{MessageHeader, write_message},
    };
    use proptest::prelude::*;

    fn read_in_pieces<'a>(
        reader: &mut ChunkReader,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<Message>, ChunkError> {
        let mut messages = Vec::new();
        for mut piece in pieces {
            while let Some(message) = reader.next_message(&mut piece)? {
                messages.push(message);
            }
            assert!(piece.is_empty());
        }
        Ok(messages)
    }

    /// What whole input and single bytes are read as, which must be the same.
    fn read(bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
        let whole = read_in_pieces(&mut ChunkReader::new(ChunkLimits::default()), [bytes]);
        let single = read_in_pieces(&mut ChunkReader::new(ChunkLimits::default()), bytes.chunks(1));
        assert_eq!(whole, single);
        whole
    }

    fn message(csid: u32, type_id: u8, timestamp_ms: u32, payload: impl Into<Bytes>) -> Message {
        Message {
            csid,
            type_id,
            stream_id: 1,
            timestamp_ms,
            payload: payload.into(),
        }
    }

    fn header_of(message: &Message) -> MessageHeader {
        let Message {
            csid,
            type_id,
            stream_id,
            timestamp_ms,
            ..
        } = *message;
        MessageHeader {
            csid,
            type_id,
            stream_id,
            timestamp_ms,
        }
    }

    fn written(message: &Message, chunk_size_bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write_message(&mut out, &header_of(message), &message.payload, chunk_size_bytes);
        out
    }

    /// The chunks of a message, one by one.
    fn chunks_of(message: &Message, chunk_size_bytes: usize) -> Vec<Vec<u8>> {
        let lens: Vec<usize> = (0..=message.payload.len().div_ceil(chunk_size_bytes))
            .map(|n| {
                let cut = Message {
                    payload: message
                        .payload
                        .slice(..(n * chunk_size_bytes).min(message.payload.len())),
                    ..message.clone()
                };
                written(&cut, chunk_size_bytes).len()
            })
            .collect();
        let whole = written(message, chunk_size_bytes);
        let ends: Vec<usize> = if message.payload.is_empty() {
            vec![whole.len()]
        } else {
            lens[1..].to_vec()
        };
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts
            .zip(&ends)
            .map(|(start, end)| whole[start..*end].to_vec())
            .collect()
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let csid = prop_oneof![2..10_u32, 60..70_u32, 315..325_u32, Just(65_599)];
        let timestamp = prop_oneof![0..100_u32, 0xFF_FFF0..0x100_0010_u32, any::<u32>()];
        let payload = prop_oneof![0..4_usize, 100..140_usize, 0..5000_usize];
        (
            csid,
            prop_oneof![Just(8_u8), Just(9), Just(18), Just(20)],
            timestamp,
            payload,
            any::<u8>(),
        )
            .prop_map(|(csid, type_id, timestamp_ms, len, fill)| {
                let payload: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(7) ^ fill).collect();
                message(csid, type_id, timestamp_ms, payload)
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_however_it_is_split(
            messages in prop::collection::vec(any_message(), 1..6),
            chunk_size in 1..6000_u32,
            piece_len in 1..4000_usize,
        ) {
            let mut bytes = borrowed::set_chunk_size(chunk_size).unwrap();
            bytes.extend(messages.iter().flat_map(|message| written(message, chunk_size as usize)));
            let mut reader = ChunkReader::new(ChunkLimits::default());
            prop_assert_eq!(&read_in_pieces(&mut reader, bytes.chunks(piece_len)).unwrap(), &messages);
            prop_assert_eq!(reader.in_flight_bytes(), 0);
            let middle = bytes.len() / 2;
            let mut reader = ChunkReader::new(ChunkLimits::default());
            let split = [&bytes[..middle], &bytes[middle..]];
            prop_assert_eq!(&read_in_pieces(&mut reader, split).unwrap(), &messages);
        }

        #[test]
        fn interleaved_messages_stay_whole(
            mut messages in prop::collection::vec(any_message(), 1..5),
            turns in prop::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            for (i, message) in messages.iter_mut().enumerate() {
                message.csid = [4, 6, 70, 400, 65_599][i];
            }
            let mut queues: Vec<_> = messages.iter().map(|m| chunks_of(m, 128).into_iter()).collect();
            let mut bytes = Vec::new();
            for turn in turns {
                let place = turn.index(queues.len());
                bytes.extend(queues[place].next().unwrap_or_default());
            }
            bytes.extend(queues.into_iter().flatten().flatten());
            let mut read = read(&bytes).unwrap();
            read.sort_by_key(|message| messages.iter().position(|m| m.csid == message.csid));
            prop_assert_eq!(read, messages);
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_hold_little(bytes in prop::collection::vec(any::<u8>(), 0..4000), piece in 1..64_usize) {
            let mut reader = ChunkReader::new(ChunkLimits::default());
            let _ = read_in_pieces_until_error(&mut reader, &bytes, piece);
            let held: usize = reader.streams.iter().filter_map(|s| s.arrived.as_ref()).map(Vec::capacity).sum();
            prop_assert!(held <= 2 * bytes.len() + reader.streams.len() * FIRST_RESERVE_BYTES);
        }
    }

    fn read_in_pieces_until_error(
        reader: &mut ChunkReader,
        bytes: &[u8],
        piece: usize,
    ) -> Result<(), ChunkError> {
        for mut piece in bytes.chunks(piece) {
            while reader.next_message(&mut piece)?.is_some() {}
        }
        Ok(())
    }

    #[test]
    fn every_split_in_two_reads_the_same() {
        let messages = [
            message(400, 9, 0x100_0000, vec![1; 300]),
            message(64, 8, 5, vec![2; 130]),
        ];
        let bytes: Vec<u8> = messages.iter().flat_map(|m| written(m, 128)).collect();
        for at in 0..=bytes.len() {
            let mut reader = ChunkReader::new(ChunkLimits::default());
            let split = [&bytes[..at], &bytes[at..]];
            assert_eq!(read_in_pieces(&mut reader, split).unwrap(), messages);
        }
    }

    #[test]
    fn shorter_headers_complete_themselves_from_the_last_one() {
        let type_0 = [4, 0, 0, 10, 0, 0, 2, 8, 1, 0, 0, 0, b'a', b'b'];
        let type_1 = [0x44, 0, 0, 5, 0, 0, 1, 9, b'c'];
        let type_2 = [0x84, 0, 0, 7, b'd'];
        let type_3 = [0xC4, b'e', 0xC4, b'f'];
        let expected = [
            message(4, 8, 10, "ab"),
            message(4, 9, 15, "c"),
            message(4, 9, 22, "d"),
            message(4, 9, 29, "e"),
            message(4, 9, 36, "f"),
        ];
        assert_eq!(
            read(&[&type_0[..], &type_1, &type_2, &type_3].concat()).unwrap(),
            expected
        );
        let after_type_0 = [&type_0[..], &[0xC4, b'x', b'y']].concat();
        assert_eq!(read(&after_type_0).unwrap()[1], message(4, 8, 20, "xy"));
    }

    #[test]
    fn timestamps_wrap_and_extend_as_deltas_too() {
        let type_0 = [
            4, 0xFF, 0xFF, 0xFF, 0, 0, 1, 8, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFE, b'a',
        ];
        let type_2 = [0x84, 0, 0, 3, b'b'];
        let type_2_extended = [0x84, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, b'c'];
        let type_3 = [0xC4, 1, 0, 0, 0, b'd'];
        let type_3_bare = [0xC4, b'e'];
        let bytes = [&type_0[..], &type_2, &type_2_extended, &type_3, &type_3_bare].concat();
        let timestamps: Vec<u32> = read(&bytes).unwrap().iter().map(|m| m.timestamp_ms).collect();
        assert_eq!(timestamps, [0xFFFF_FFFE, 1, 0x100_0001, 0x200_0001, 0x300_0001]);
    }

    #[test]
    fn a_continuation_may_leave_out_the_extended_timestamp() {
        let head = [4, 0xFF, 0xFF, 0xFF, 0, 0, 130, 8, 1, 0, 0, 0, 1, 0, 0, 0];
        for tail in [&b"yz"[..], &[1, 0]] {
            let bytes = [
                &head[..],
                &[7; 128],
                &[0xC4],
                tail,
                &[0xC4],
                &[1, 0, 0, 0],
                &[8; 128],
                &[0xC4],
                b"uv",
            ];
            let bytes = bytes.concat();
            let first = [&[7; 128], tail].concat();
            if tail == b"yz" {
                let second = [&[8; 128][..], b"uv"].concat();
                let expected = [
                    message(4, 8, 0x100_0000, first),
                    message(4, 8, 0x200_0000, second),
                ];
                assert_eq!(read(&bytes).unwrap(), expected);
            } else {
                // It could still be the timestamp, until the next byte is there.
                let (whole, next) = bytes.split_at(16 + 128 + 1 + 2);
                let mut reader = ChunkReader::new(ChunkLimits::default());
                assert_eq!(read_in_pieces(&mut reader, [whole]).unwrap(), []);
                assert_eq!(
                    read_in_pieces(&mut reader, [next]).unwrap()[0],
                    message(4, 8, 0x100_0000, first)
                );
            }
        }
    }

    #[test]
    fn the_chunk_size_changes_between_the_chunks_of_a_message() {
        let video = message(6, 9, 0, vec![3; 1000]);
        let first = &written(&video, 128)[..12 + 128];
        let rest = [&[0xC6][..], &vec![3; 872]].concat();
        let bytes = [first, &borrowed::set_chunk_size(4096).unwrap(), &rest].concat();
        assert_eq!(read(&bytes).unwrap(), [video]);
    }

    #[test]
    fn chunk_sizes_that_mean_nothing_are_refused() {
        let set = |size: u32| [&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0][..], &size.to_be_bytes()].concat();
        assert_eq!(read(&set(0)), Err(ChunkError::ChunkSize(0)));
        assert_eq!(read(&set(0x8000_0000)), Err(ChunkError::ChunkSize(0x8000_0000)));
        let big = message(6, 9, 0, vec![3; 100_000]);
        let bytes = [set(0x7FFF_FFFF), written(&big, 1 << 24)].concat();
        assert_eq!(read(&bytes).unwrap(), [big]);
        assert_eq!(
            read(&[2, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0, 0, 1, 2, 3]),
            Err(ChunkError::Control { type_id: 1 })
        );
    }

    #[test]
    fn an_abort_drops_the_partial_message() {
        let video = message(6, 9, 7, vec![3; 200]);
        let abort = |csid| [2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, csid];
        let audio = message(4, 8, 1, vec![4; 200]);
        let (audio_start, audio_end) = (&written(&audio, 128)[..140], &written(&audio, 128)[140..]);
        let bytes = [
            audio_start,
            &written(&video, 128)[..140],
            &abort(6),
            &abort(9),
            audio_end,
            &written(&video, 128),
        ];
        assert_eq!(read(&bytes.concat()).unwrap(), [audio, video]);
    }

    #[test]
    fn chunks_without_their_header_are_refused() {
        assert_eq!(read(&[0xC5, 1]), Err(ChunkError::NoHeader { csid: 5, fmt: 3 }));
        assert_eq!(
            read(&[0x85, 0, 0, 1]),
            Err(ChunkError::NoHeader { csid: 5, fmt: 2 })
        );
        let video = written(&message(6, 9, 0, vec![3; 200]), 128);
        assert_eq!(
            read(&[&video[..140], &video].concat()),
            Err(ChunkError::Inside { csid: 6 })
        );
    }

    #[test]
    fn limits_hold_before_memory_is_spent() {
        let announce = |csid: u8, type_id, len: [u8; 3]| {
            [&[csid, 0, 0, 0][..], &len, &[type_id, 1, 0, 0, 0, 7]].concat()
        };
        let over = read(&announce(6, 9, [0x80, 0, 1]));
        assert_eq!(
            over,
            Err(ChunkError::TooLong {
                type_id: 9,
                len_bytes: 0x800001,
                limit_bytes: 0x800000
            })
        );
        assert!(matches!(
            read(&announce(3, 20, [1, 0, 1])),
            Err(ChunkError::TooLong { type_id: 20, .. })
        ));

        let mut reader = ChunkReader::new(ChunkLimits::default());
        read_in_pieces(&mut reader, [&announce(6, 9, [0x80, 0, 0])[..]]).unwrap();
        assert!(reader.streams[0].arrived.as_ref().unwrap().capacity() <= 64 * 1024);

        let streams: Vec<u8> = (0..64)
            .flat_map(|n| [0, n, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0, 0])
            .collect();
        assert_eq!(read(&streams).unwrap().len(), 64);
        assert_eq!(
            read(&[&streams[..], &announce(6, 9, [0, 0, 0])].concat()),
            Err(ChunkError::TooManyStreams)
        );
    }

    #[test]
    fn all_partial_messages_together_are_limited() {
        let mut reader = ChunkReader::new(ChunkLimits {
            in_flight_limit_bytes: 250,
            ..Default::default()
        });
        let partial = |csid| written(&message(csid, 9, 0, vec![3; 300]), 128)[..140].to_vec();
        assert_eq!(read_in_pieces(&mut reader, [&partial(4)[..]]), Ok(vec![]));
        let refused = read_in_pieces_until_error(&mut reader, &partial(6), 1000);
        assert_eq!(refused, Err(ChunkError::TooMuchInFlight { limit_bytes: 250 }));
    }

    #[test]
    #[ignore = "a measurement, for release builds"]
    fn throughput() {
        for (len, chunk) in [(300, 128), (5000, 4096), (100_000, 4096), (100_000, 60_000)] {
            let one = written(&message(6, 9, 0, vec![3; len]), chunk);
            let mut bytes = borrowed::set_chunk_size(chunk as u32).unwrap();
            bytes.extend(one.repeat(200_000_000 / one.len()));
            let mut reader = ChunkReader::new(ChunkLimits::default());
            let start = std::time::SystemTime::now();
            let count = bytes
                .chunks(65_536)
                .map(|piece| read_in_pieces(&mut reader, [piece]).unwrap().len())
                .sum::<usize>();
            let seconds = start.elapsed().unwrap().as_secs_f64();
            println!(
                "{len} bytes in chunks of {chunk}: {count}, {:.2} GB/s",
                bytes.len() as f64 / seconds / 1e9
            );
        }
    }
}
