use super::*;
use crate::rtmp::{
    chunk_writer::{MessageHeader, write_message},
    control,
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

/// Reads the input whole and byte by byte, and asserts that both give the same messages.
fn read(bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let whole = read_in_pieces(&mut ChunkReader::new(ChunkLimits::default()), [bytes]);
    let single = read_in_pieces(&mut ChunkReader::new(ChunkLimits::default()), bytes.chunks(1));
    assert_eq!(whole, single);
    whole
}

fn message(csid: u32, type_id: u8, timestamp_ms: u32, payload: impl Into<Bytes>) -> Message {
    Message { csid, type_id, stream_id: 1, timestamp_ms, payload: payload.into() }
}

fn header_of(message: &Message) -> MessageHeader {
    let Message { csid, type_id, stream_id, timestamp_ms, .. } = *message;
    MessageHeader { csid, type_id, stream_id, timestamp_ms }
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
                payload: message.payload.slice(..(n * chunk_size_bytes).min(message.payload.len())),
                ..message.clone()
            };
            written(&cut, chunk_size_bytes).len()
        })
        .collect();
    let whole = written(message, chunk_size_bytes);
    let ends: Vec<usize> = if message.payload.is_empty() { vec![whole.len()] } else { lens[1..].to_vec() };
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| whole[start..*end].to_vec()).collect()
}

fn any_message() -> impl Strategy<Value = Message> {
    let csid = prop_oneof![2..10_u32, 60..70_u32, 315..325_u32, Just(65_599)];
    let timestamp = prop_oneof![0..100_u32, 0xFF_FFF0..0x100_0010_u32, any::<u32>()];
    let payload = prop_oneof![0..4_usize, 100..140_usize, 0..5000_usize];
    (csid, prop_oneof![Just(8_u8), Just(9), Just(18), Just(20)], timestamp, payload, any::<u8>()).prop_map(
        |(csid, type_id, timestamp_ms, len, fill)| {
            let payload: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(7) ^ fill).collect();
            message(csid, type_id, timestamp_ms, payload)
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_however_it_is_split(
        messages in prop::collection::vec(any_message(), 1..6),
        chunk_size in 1..6000_u32,
        piece_len in 1..4000_usize,
    ) {
        let mut bytes = control::set_chunk_size(chunk_size);
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
        prop_assert!(held <= FIRST_RESERVE_CHUNKS * bytes.len());
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
    let messages = [message(400, 9, 0x100_0000, vec![1; 300]), message(64, 8, 5, vec![2; 130])];
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
    assert_eq!(read(&[&type_0[..], &type_1, &type_2, &type_3].concat()).unwrap(), expected);
    let after_type_0 = [&type_0[..], &[0xC4, b'x', b'y']].concat();
    assert_eq!(read(&after_type_0).unwrap()[1], message(4, 8, 20, "xy"));
}

#[test]
fn timestamps_wrap_and_extend_as_deltas_too() {
    let type_0 = [4, 0xFF, 0xFF, 0xFF, 0, 0, 1, 8, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFE, b'a'];
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
        let bytes = [&head[..], &[7; 128], &[0xC4], tail, &[0xC4], &[1, 0, 0, 0], &[8; 128], &[0xC4], b"uv"];
        let bytes = bytes.concat();
        let first = [&[7; 128], tail].concat();
        if tail == b"yz" {
            let second = [&[8; 128][..], b"uv"].concat();
            let expected = [message(4, 8, 0x100_0000, first), message(4, 8, 0x200_0000, second)];
            assert_eq!(read(&bytes).unwrap(), expected);
        } else {
            // It could still be the timestamp, until the next byte is there.
            let (whole, next) = bytes.split_at(16 + 128 + 1 + 2);
            let mut reader = ChunkReader::new(ChunkLimits::default());
            assert_eq!(read_in_pieces(&mut reader, [whole]).unwrap(), []);
            assert_eq!(read_in_pieces(&mut reader, [next]).unwrap()[0], message(4, 8, 0x100_0000, first));
        }
    }
}

#[test]
fn the_chunk_size_changes_between_the_chunks_of_a_message() {
    let video = message(6, 9, 0, vec![3; 1000]);
    let first = &written(&video, 128)[..12 + 128];
    let rest = [&[0xC6][..], &vec![3; 872]].concat();
    let bytes = [first, &control::set_chunk_size(4096), &rest].concat();
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
    assert_eq!(read(&[2, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0, 0, 1, 2, 3]), Err(ChunkError::Control { type_id: 1 }));
}

#[test]
fn an_abort_drops_the_partial_message() {
    let video = message(6, 9, 7, vec![3; 200]);
    let abort = |csid| [2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, csid];
    let audio = message(4, 8, 1, vec![4; 200]);
    let (audio_start, audio_end) = (&written(&audio, 128)[..140], &written(&audio, 128)[140..]);
    let bytes =
        [audio_start, &written(&video, 128)[..140], &abort(6), &abort(9), audio_end, &written(&video, 128)];
    assert_eq!(read(&bytes.concat()).unwrap(), [audio, video]);
}

#[test]
fn chunks_without_their_header_are_refused() {
    assert_eq!(read(&[0xC5, 1]), Err(ChunkError::NoHeader { csid: 5, fmt: 3 }));
    assert_eq!(read(&[0x85, 0, 0, 1]), Err(ChunkError::NoHeader { csid: 5, fmt: 2 }));
    let video = written(&message(6, 9, 0, vec![3; 200]), 128);
    assert_eq!(read(&[&video[..140], &video].concat()), Err(ChunkError::Inside { csid: 6 }));
}

#[test]
fn limits_hold_before_memory_is_spent() {
    let announce =
        |csid: u8, type_id, len: [u8; 3]| [&[csid, 0, 0, 0][..], &len, &[type_id, 1, 0, 0, 0, 7]].concat();
    let over = read(&announce(6, 9, [0x80, 0, 1]));
    assert_eq!(over, Err(ChunkError::TooLong { type_id: 9, len_bytes: 0x800001, limit_bytes: 0x800000 }));
    assert!(matches!(read(&announce(3, 20, [1, 0, 1])), Err(ChunkError::TooLong { type_id: 20, .. })));

    let mut reader = ChunkReader::new(ChunkLimits::default());
    read_in_pieces(&mut reader, [&announce(6, 9, [0x80, 0, 0])[..]]).unwrap();
    assert!(reader.streams[0].arrived.as_ref().unwrap().capacity() <= FIRST_RESERVE_CHUNKS);
}

#[test]
fn a_frame_in_chunks_of_an_encoder_needs_no_second_buffer() {
    let mut reader = ChunkReader::new(ChunkLimits::default());
    let set_chunk_size = control::set_chunk_size(4096);
    let frame = written(&message(6, 9, 0, vec![3; FIRST_RESERVE_BYTES]), 4096);
    read_in_pieces(&mut reader, [&set_chunk_size[..], &frame[..5000]]).unwrap();
    assert_eq!(reader.streams[1].arrived.as_ref().unwrap().capacity(), FIRST_RESERVE_BYTES);
}

#[test]
fn chunk_streams_are_limited_and_more_so_without_media() {
    let empty = |count: u8| -> Vec<u8> {
        (0..count).flat_map(|n| [0, n, 0, 0, 0, 0, 0, 0, 20, 1, 0, 0, 0]).collect()
    };
    let publisher = ChunkLimits::default();
    for (limits, limit) in
        [(publisher, MAX_CHUNK_STREAMS), (publisher.without_media(), COMMAND_CHUNK_STREAMS)]
    {
        let read = |count| read_in_pieces(&mut ChunkReader::new(limits), [&empty(count)[..]]);
        assert_eq!(read(limit as u8).unwrap().len(), limit);
        assert_eq!(read(limit as u8 + 1), Err(ChunkError::TooManyStreams { limit }));
    }
}

#[test]
fn all_partial_messages_together_are_limited() {
    let mut reader = ChunkReader::new(ChunkLimits { in_flight_limit_bytes: 250, ..Default::default() });
    let partial = |csid| written(&message(csid, 9, 0, vec![3; 300]), 128)[..140].to_vec();
    assert_eq!(read_in_pieces(&mut reader, [&partial(4)[..]]), Ok(vec![]));
    let refused = read_in_pieces_until_error(&mut reader, &partial(6), 1000);
    assert_eq!(refused, Err(ChunkError::TooMuchInFlight { limit_bytes: 250 }));
}
