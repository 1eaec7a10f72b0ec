//! The state of a chunk reader, which may be in the middle of a message and of a chunk's header.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    CHUNK_SIZE_CAP_BYTES, ChunkLimits, ChunkReader, HEADER_MAX_BYTES, MAX_CHUNK_STREAMS, Stage,
    chunk_stream::ChunkStream,
};
use crate::{
    rtmp::chunk_writer::MESSAGE_MAX_BYTES,
    upgrade::{BlobId, Blobs, StateError},
};

const PART: &str = "a chunk reader";

/// The state of a [`ChunkReader`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChunkReaderState {
    chunk_size_bytes: usize,
    streams: Vec<ChunkStreamState>,
    /// The place of the chunk stream whose payload follows, and how much of it.
    payload: Option<(usize, usize)>,
    pending: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ChunkStreamState {
    csid: u32,
    type_id: u8,
    stream_id: u32,
    len_bytes: usize,
    timestamp_ms: u32,
    delta_ms: u32,
    extended: Option<u32>,
    arrived: Option<BlobId>,
}

impl ChunkReader {
    /// Gives its state. Incomplete messages go into `blobs`.
    pub fn state(&self, blobs: &mut Blobs) -> ChunkReaderState {
        ChunkReaderState {
            chunk_size_bytes: self.chunk_size_bytes,
            streams: self.streams.iter().map(|stream| stream.state(blobs)).collect(),
            payload: match self.stage {
                Stage::Header => None,
                Stage::Payload { stream, left_bytes } => Some((stream, left_bytes)),
            },
            pending: self.pending.clone(),
        }
    }

    /// Restores the reader under limits that may be others than before; they count from the next message on.
    pub fn restore(state: ChunkReaderState, limits: ChunkLimits, blobs: &Blobs) -> Result<Self, StateError> {
        let ChunkReaderState { chunk_size_bytes, streams, payload, pending } = state;
        let is_size = (1..=CHUNK_SIZE_CAP_BYTES as usize).contains(&chunk_size_bytes);
        StateError::unless(is_size, PART, "the chunk size is none")?;
        StateError::unless(streams.len() <= MAX_CHUNK_STREAMS, PART, "too many chunk streams")?;
        StateError::unless(pending.len() <= HEADER_MAX_BYTES, PART, "a header is too long")?;
        let streams = streams.into_iter().map(|stream| ChunkStream::restore(stream, blobs));
        let streams = streams.collect::<Result<Vec<_>, _>>()?;
        if let Some((place, left_bytes)) = payload {
            let stream = streams.get(place).filter(|stream| stream.arrived.is_some());
            let is_due = stream.is_some_and(|stream| left_bytes <= stream.missing_bytes());
            StateError::unless(is_due, PART, "a payload is of no message")?;
        }
        let arrived = streams.iter().filter_map(|stream| stream.arrived.as_ref());
        Ok(Self {
            limits,
            chunk_size_bytes,
            in_flight_bytes: arrived.map(Vec::len).sum(),
            streams,
            stage: payload
                .map_or(Stage::Header, |(stream, left_bytes)| Stage::Payload { stream, left_bytes }),
            pending,
        })
    }
}

impl ChunkStream {
    fn state(&self, blobs: &mut Blobs) -> ChunkStreamState {
        ChunkStreamState {
            csid: self.csid,
            type_id: self.type_id,
            stream_id: self.stream_id,
            len_bytes: self.len_bytes,
            timestamp_ms: self.timestamp_ms,
            delta_ms: self.delta_ms,
            extended: self.extended,
            arrived: self.arrived.as_deref().map(|arrived| blobs.put(&Bytes::copy_from_slice(arrived))),
        }
    }

    fn restore(state: ChunkStreamState, blobs: &Blobs) -> Result<Self, StateError> {
        let arrived = blobs.get_if_any(state.arrived)?.map(Vec::from);
        let arrived_bytes = arrived.as_ref().map_or(0, Vec::len);
        StateError::unless(state.len_bytes <= MESSAGE_MAX_BYTES, PART, "a message is too long")?;
        StateError::unless(arrived_bytes <= state.len_bytes, PART, "a message is longer than announced")?;
        Ok(Self {
            csid: state.csid,
            type_id: state.type_id,
            stream_id: state.stream_id,
            len_bytes: state.len_bytes,
            timestamp_ms: state.timestamp_ms,
            delta_ms: state.delta_ms,
            extended: state.extended,
            arrived,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        rtmp::{
            chunk_reader::Message,
            chunk_writer::{MessageHeader, write_message},
        },
        upgrade::testing::read_again,
    };

    const LIMITS: ChunkLimits = ChunkLimits {
        message_limit_bytes: 4096,
        command_limit_bytes: 1024,
        in_flight_limit_bytes: 8192,
        chunk_stream_limit: MAX_CHUNK_STREAMS,
    };

    /// Messages of several chunk streams, with a change of the chunk size in the middle.
    fn chunks(messages: &[(u32, u32, usize)], chunk_size_bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut size_bytes = 128;
        for (at, (csid, timestamp_ms, len_bytes)) in messages.iter().enumerate() {
            if at == messages.len() / 2 {
                let header = MessageHeader { csid: 2, type_id: 1, stream_id: 0, timestamp_ms: 0 };
                write_message(&mut out, &header, &(chunk_size_bytes as u32).to_be_bytes(), size_bytes);
                size_bytes = chunk_size_bytes;
            }
            let header = MessageHeader { csid: *csid, type_id: 9, stream_id: 1, timestamp_ms: *timestamp_ms };
            write_message(&mut out, &header, &vec![at as u8; *len_bytes], size_bytes);
        }
        out
    }

    fn read(reader: &mut ChunkReader, mut input: &[u8]) -> (Vec<Message>, bool) {
        let mut messages = Vec::new();
        loop {
            match reader.next_message(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return (messages, true),
                Err(_) => return (messages, false),
            }
        }
    }

    fn restored(reader: &ChunkReader) -> ChunkReader {
        let mut blobs = Blobs::default();
        let state = reader.state(&mut blobs);
        let (state, blobs) = read_again(&state, &blobs);
        ChunkReader::restore(state, LIMITS, &blobs).unwrap()
    }

    /// Reads `input` with two readers, one of which is restored at each of these places.
    fn assert_same(input: &[u8], mut cuts: Vec<usize>) {
        cuts.sort_unstable();
        let (mut kept, mut moved) = (ChunkReader::new(LIMITS), ChunkReader::new(LIMITS));
        let mut from = 0;
        for to in cuts.into_iter().chain([input.len()]) {
            let (expected, goes_on) = read(&mut kept, &input[from..to]);
            assert_eq!(read(&mut moved, &input[from..to]), (expected, goes_on));
            if !goes_on {
                return;
            }
            assert_eq!(moved.in_flight_bytes(), kept.in_flight_bytes());
            moved = restored(&moved);
            from = to;
        }
    }

    proptest! {
        #[test]
        fn a_restored_reader_reads_the_same_messages(
            messages in prop::collection::vec(
                (4_u32..400, prop_oneof![0_u32..5_000, Just(0x0100_0000)], 0_usize..700),
                1..12,
            ),
            chunk_size_bytes in 1_usize..900,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        ) {
            let input = chunks(&messages, chunk_size_bytes);
            assert_same(&input, cuts.iter().map(|cut| cut.index(input.len() + 1)).collect());
        }

        #[test]
        fn a_restored_reader_refuses_what_the_one_before_would_have(
            input in prop::collection::vec(any::<u8>(), 1..300),
            cut: prop::sample::Index,
        ) {
            assert_same(&input, vec![cut.index(input.len() + 1)]);
        }
    }

    #[test]
    fn a_reader_is_restored_at_every_byte_of_a_message() {
        let input = chunks(&[(6, 0x0100_0000, 300), (70, 40, 0), (6, 80, 200)], 100);
        for cut in 0..=input.len() {
            assert_same(&input, vec![cut]);
        }
    }

    #[test]
    fn a_reader_that_is_in_no_such_state_is_refused() {
        let mut reader = ChunkReader::new(LIMITS);
        assert!(read(&mut reader, &chunks(&[(6, 0, 300)], 128)[..50]).1);
        let mut blobs = Blobs::default();
        let state = reader.state(&mut blobs);
        let refused = |change: &dyn Fn(&mut ChunkReaderState)| {
            let mut changed = state.clone();
            change(&mut changed);
            ChunkReader::restore(changed, LIMITS, &blobs).is_err()
        };
        assert!(!refused(&|_| {}));
        assert!(refused(&|state| state.chunk_size_bytes = 0));
        assert!(refused(&|state| state.chunk_size_bytes = usize::MAX));
        assert!(refused(&|state| state.streams = vec![state.streams[0].clone(); MAX_CHUNK_STREAMS + 1]));
        assert!(refused(&|state| state.pending = vec![0; HEADER_MAX_BYTES + 1]));
        assert!(refused(&|state| state.payload = Some((2, 1))));
        assert!(refused(&|state| state.payload = Some((0, 1))));
        assert!(refused(&|state| state.streams[1].arrived = None));
        assert!(refused(&|state| state.payload = Some((1, 301))));
        assert!(refused(&|state| state.streams[1].len_bytes = 10));
        assert!(refused(&|state| state.streams[1].len_bytes = usize::MAX));
    }
}
