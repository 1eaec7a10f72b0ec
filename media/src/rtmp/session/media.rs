//! Media messages to frames (RTMP 1.0 sections 7.1.3 to 7.1.6).

use bytes::Bytes;

use crate::{
    flv,
    rtmp::{chunk_reader::Message, rtmp_crate::msg_type_id},
    stream::frame::{Frame, Track},
};

/// The AMF0 strings with which an encoder sets or clears the metadata of its stream.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0D@setDataFrame";
const CLEAR_DATA_FRAME: &[u8] = b"\x02\x00\x0F@clearDataFrame";

/// Hands the frames of a message to `push`, in order; none if it is not of media or has nothing in it. The payloads
/// share the message's memory; that of an only one is it, as a second reference would cost an allocation.
pub(super) fn frames_of(message: Message, mut push: impl FnMut(Frame)) {
    let Message { type_id, timestamp_ms, payload, .. } = message;
    if type_id != msg_type_id::AGGREGATE {
        return frame_of(type_id, timestamp_ms, payload).into_iter().for_each(push);
    }
    // The times inside an aggregate count from its first message, which happens at the aggregate's own time.
    let mut first_ms = None;
    for tag in flv::tags(&payload) {
        let passed_ms = tag.timestamp_ms.wrapping_sub(*first_ms.get_or_insert(tag.timestamp_ms));
        let body = payload.slice_ref(tag.body);
        frame_of(tag.type_id, timestamp_ms.wrapping_add(passed_ms), body).into_iter().for_each(&mut push);
    }
}

fn frame_of(type_id: u8, timestamp_ms: u32, payload: Bytes) -> Option<Frame> {
    let (track, payload) = match type_id {
        msg_type_id::DATA_AMF3 => (Track::Data, data_of(payload.strip_prefix(&[0])?, &payload)?),
        msg_type_id::DATA_AMF0 => (Track::Data, data_of(&payload, &payload)?),
        _ => (Track::from_type_id(type_id)?, payload),
    };
    if payload.is_empty() { None } else { Some(Frame { track, timestamp_ms, payload }) }
}

/// The data message inside `values`, a part of `payload`, without the envelope that only the server is meant to see.
fn data_of(values: &[u8], payload: &Bytes) -> Option<Bytes> {
    if values.starts_with(CLEAR_DATA_FRAME) {
        return None;
    }
    Some(payload.slice_ref(values.strip_prefix(SET_DATA_FRAME).unwrap_or(values)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::mux::tests::tag;

    fn frames(type_id: u8, timestamp_ms: u32, payload: impl Into<Bytes>) -> Vec<Frame> {
        let mut frames = Vec::new();
        let message = Message { csid: 4, type_id, stream_id: 1, timestamp_ms, payload: payload.into() };
        frames_of(message, |frame| frames.push(frame));
        frames
    }

    fn frame(track: Track, timestamp_ms: u32, payload: impl Into<Bytes>) -> Frame {
        Frame { track, timestamp_ms, payload: payload.into() }
    }

    #[test]
    fn empty_messages_are_swallowed() {
        for type_id in [8, 9, 15, 18, 22] {
            assert_eq!(frames(type_id, 1, ""), []);
        }
        assert_eq!(frames(15, 1, "\0"), []);
        assert_eq!(frames(18, 1, SET_DATA_FRAME), []);
    }

    #[test]
    fn metadata_begins_with_its_name() {
        let metadata = &b"\x02\x00\x0AonMetaData\x05"[..];
        let enveloped = [SET_DATA_FRAME, metadata].concat();
        let expected = [frame(Track::Data, 7, metadata)];
        assert_eq!(frames(18, 7, metadata), expected);
        assert_eq!(frames(18, 7, enveloped.clone()), expected);
        assert_eq!(frames(15, 7, [&[0], &enveloped[..]].concat()), expected);
        assert_eq!(frames(15, 7, "\x06\x15onMetaData"), []);
        assert_eq!(frames(18, 7, [CLEAR_DATA_FRAME, b"\x05"].concat()), []);
        assert_eq!(frames(18, 7, "\x02\x00\x05other"), [frame(Track::Data, 7, "\x02\x00\x05other")]);
    }

    #[test]
    fn aggregates_are_split_and_keep_their_distances() {
        let set_data = [SET_DATA_FRAME, b"m"].concat();
        let tags = [
            tag(9, 500, b"v"),
            tag(8, 523, b"a"),
            tag(9, 524, b""),
            tag(18, 530, &set_data),
            tag(9, 540, b"cut")[..13].into(),
        ];
        let expected =
            [frame(Track::Video, u32::MAX, "v"), frame(Track::Audio, 22, "a"), frame(Track::Data, 29, "m")];
        assert_eq!(frames(22, u32::MAX, tags.concat()), expected);
    }
}
