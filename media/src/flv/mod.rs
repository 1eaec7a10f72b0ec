//! The FLV container (FLV v10.1, annex E): the file header, tags, and the tags of a contiguous run of them.

pub mod audio;
pub mod http_chunk;
pub mod moving;
pub mod reader;
pub mod video;
pub mod websocket;

use bytes::Bytes;

use crate::stream::frame::Track;

/// Bytes of a tag's header: type, size, timestamp, stream id.
pub const TAG_HEADER_BYTES: usize = 11;

/// Bytes that a tag adds to its body: its header, and the size that follows it.
pub const TAG_OVERHEAD_BYTES: usize = TAG_HEADER_BYTES + 4;

/// The largest body that a tag's 24-bit size can express, in bytes.
pub const TAG_BODY_MAX_BYTES: usize = 0xFF_FFFF;

/// Bytes of [`file_header`].
pub const FILE_HEADER_BYTES: usize = 13;

/// The file header and the first "previous tag size", saying which tracks the stream has.
pub const fn file_header(has_audio: bool, has_video: bool) -> [u8; FILE_HEADER_BYTES] {
    let flags = (has_audio as u8) << 2 | has_video as u8;
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// Appends one tag to `out`. The timestamp is wrapped to 32 bits, as the format has no more; a body over
/// [`TAG_BODY_MAX_BYTES`] is left out, as the format has no field for it.
pub fn put_tag(out: &mut Vec<u8>, track: Track, timestamp_ms: i64, body: &[u8]) {
    if body.len() > TAG_BODY_MAX_BYTES {
        return;
    }
    let [_, size_high, size_mid, size_low] = (body.len() as u32).to_be_bytes();
    let [extended, high, mid, low] = (timestamp_ms as u32).to_be_bytes();
    out.extend_from_slice(&[
        track.type_id(),
        size_high,
        size_mid,
        size_low,
        high,
        mid,
        low,
        extended,
        0,
        0,
        0,
    ]);
    out.extend_from_slice(body);
    out.extend_from_slice(&((TAG_HEADER_BYTES + body.len()) as u32).to_be_bytes());
}

/// One tag within a run of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The tag's type id; see [`Track::from_type_id`].
    pub type_id: u8,
    /// Decoding time in milliseconds, as it was wrapped to 32 bits.
    pub timestamp_ms: u32,
    /// The tag's body.
    pub body: &'a [u8],
}

/// The fields of a tag's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagHeader {
    /// The tag's type id; see [`Track::from_type_id`].
    pub type_id: u8,
    /// Size of the body, in bytes.
    pub size_bytes: usize,
    /// Decoding time in milliseconds, as it was wrapped to 32 bits.
    pub timestamp_ms: u32,
}

impl TagHeader {
    /// Reads a header (FLV v10.1 E.4.1).
    pub fn parse(header: &[u8; TAG_HEADER_BYTES]) -> Self {
        let [type_id, size_high, size_mid, size_low, high, mid, low, extended, ..] = *header;
        Self {
            type_id: type_id & 0x1F,
            size_bytes: u32::from_be_bytes([0, size_high, size_mid, size_low]) as usize,
            timestamp_ms: u32::from_be_bytes([extended, high, mid, low]),
        }
    }
}

/// The tag at the front of `bytes` and what follows it; `None` while it is not complete.
pub fn split_tag(bytes: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let (header, rest) = bytes.split_first_chunk()?;
    let TagHeader { type_id, size_bytes, timestamp_ms } = TagHeader::parse(header);
    let (body, rest) = rest.split_at_checked(size_bytes)?;
    let (_previous_tag_size, rest) = rest.split_at_checked(4)?;
    Some((Tag { type_id, timestamp_ms, body }, rest))
}

/// The complete tags of a contiguous run, in order.
pub fn tags(bytes: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (tag, behind) = split_tag(rest)?;
        rest = behind;
        Some(tag)
    })
}

/// The media of a contiguous run of complete tags, with times on the stream's timeline and bodies that share the run's
/// memory. `first_ms` is the earliest time of any of them; none is 2^32 ms later.
pub fn frames(run: &Bytes, first_ms: i64) -> impl Iterator<Item = (Track, i64, Bytes)> {
    tags(run).filter_map(move |tag| {
        let track = Track::from_type_id(tag.type_id)?;
        let since_first_ms = tag.timestamp_ms.wrapping_sub(first_ms as u32);
        let time_ms = first_ms.saturating_add(i64::from(since_first_ms));
        Some((track, time_ms, run.slice_ref(tag.body)))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_file_header_says_what_the_stream_has() {
        assert_eq!(&file_header(true, true), b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
        assert_eq!(file_header(true, false)[4], 4);
        assert_eq!(file_header(false, true)[4], 1);
    }

    #[test]
    fn a_tag_is_written_as_the_format_says() {
        let mut out = Vec::new();
        put_tag(&mut out, Track::Video, 0x0001_2345_6789, b"\x17\x01");
        assert_eq!(out, [9, 0, 0, 2, 0x45, 0x67, 0x89, 0x23, 0, 0, 0, 0x17, 1, 0, 0, 0, 13]);
    }

    #[test]
    fn a_body_that_the_format_cannot_express_is_left_out() {
        let mut out = Vec::new();
        put_tag(&mut out, Track::Video, 0, &vec![0; TAG_BODY_MAX_BYTES + 1]);
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn tags_come_back_as_they_were_written(
            written in proptest::collection::vec((0..3_usize, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..20),
        ) {
            let tracks = [Track::Audio, Track::Video, Track::Data];
            let mut out = Vec::new();
            for (track, timestamp_ms, body) in &written {
                put_tag(&mut out, tracks[*track], i64::from(*timestamp_ms), body);
            }
            let read: Vec<_> = tags(&out).collect();
            prop_assert_eq!(read.len(), written.len());
            for (tag, (track, timestamp_ms, body)) in read.iter().zip(&written) {
                prop_assert_eq!(tag.type_id, tracks[*track].type_id());
                prop_assert_eq!(tag.timestamp_ms, *timestamp_ms);
                prop_assert_eq!(tag.body, &body[..]);
            }
        }

        #[test]
        fn any_bytes_end_the_walk(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(tags(&bytes).count() <= bytes.len() / TAG_OVERHEAD_BYTES);
        }
    }
}
