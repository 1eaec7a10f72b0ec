//! FLV tags to RTMP messages, once for all RTMP players of a room.

use bytes::Bytes;

use super::{
    AUDIO_CSID, DATA_CSID, MESSAGE_STREAM_ID, OUT_CHUNK_SIZE_BYTES, VIDEO_CSID,
    chunk_writer::{MessageHeader, message_len, write_message},
};
use crate::{
    flv::{self, Tag},
    stream::frame::Track,
};

/// The messages of contiguous FLV tags (without the file's header), as chunks of [`OUT_CHUNK_SIZE_BYTES`] on message
/// stream 1. A remainder that is no whole tag, and tags that are not of media, are left out.
pub fn flv_to_chunks(tags: &[u8]) -> Bytes {
    let len = messages(tags)
        .map(|(header, body)| message_len(body.len(), header.timestamp_ms, OUT_CHUNK_SIZE_BYTES))
        .sum();
    let mut out = Vec::with_capacity(len);
    for (header, body) in messages(tags) {
        write_message(&mut out, &header, body, OUT_CHUNK_SIZE_BYTES);
    }
    out.into()
}

fn messages(tags: &[u8]) -> impl Iterator<Item = (MessageHeader, &[u8])> {
    flv::tags(tags).filter_map(|Tag { type_id, timestamp_ms, body }| {
        let csid = csid_of(Track::from_type_id(type_id)?);
        Some((MessageHeader { csid, type_id, stream_id: MESSAGE_STREAM_ID, timestamp_ms }, body))
    })
}

/// The chunk stream that a track is sent on.
pub fn csid_of(track: Track) -> u32 {
    match track {
        Track::Audio => AUDIO_CSID,
        Track::Video => VIDEO_CSID,
        Track::Data => DATA_CSID,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rtmp::chunk_reader::{ChunkLimits, ChunkReader};
    use proptest::prelude::*;

    /// One FLV tag and its size.
    pub fn tag(type_id: u8, timestamp_ms: u32, body: &[u8]) -> Vec<u8> {
        let [t3, t2, t1, t0] = timestamp_ms.to_be_bytes();
        let [_, l2, l1, l0] = (body.len() as u32).to_be_bytes();
        let size = (body.len() as u32 + 11).to_be_bytes();
        [&[type_id, l2, l1, l0, t2, t1, t0, t3, 0, 0, 0], body, &size].concat()
    }

    proptest! {
        #[test]
        fn every_tag_becomes_its_message(
            tags in prop::collection::vec((prop_oneof![Just(8_u8), Just(9), Just(18)], any::<u32>(), 0..150_000_usize), 0..5),
            remainder in prop::collection::vec(any::<u8>(), 0..11),
        ) {
            let flv: Vec<u8> = tags.iter().flat_map(|(t, ts, len)| tag(*t, *ts, &vec![*t; *len])).collect();
            let chunks = flv_to_chunks(&[flv, remainder].concat());
            let set_chunk_size = crate::rtmp::control::set_chunk_size(OUT_CHUNK_SIZE_BYTES as u32);
            let (mut reader, mut input) = (ChunkReader::new(ChunkLimits::default()), &*[&set_chunk_size[..], &chunks].concat());
            for (type_id, timestamp_ms, len) in tags {
                let message = reader.next_message(&mut input).unwrap().unwrap();
                let csid = csid_of(Track::from_type_id(type_id).unwrap());
                prop_assert_eq!((message.type_id, message.timestamp_ms), (type_id, timestamp_ms));
                prop_assert_eq!((message.csid, message.stream_id), (csid, 1));
                prop_assert!(message.payload == vec![type_id; len]);
            }
            prop_assert_eq!(reader.next_message(&mut input), Ok(None));
        }
    }

    #[test]
    fn what_is_no_media_tag_is_left_out() {
        assert!(flv_to_chunks(b"").is_empty());
        assert!(flv_to_chunks(&tag(10, 0, b"abc")).is_empty());
        assert!(flv_to_chunks(&tag(9, 0, b"abc")[..13]).is_empty());
        assert_eq!(flv_to_chunks(&tag(9, 0, b"abc")).len(), 15);
    }
}
