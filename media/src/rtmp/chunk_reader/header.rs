//! The header of one chunk (RTMP 1.0 section 5.3.1).

use bytes::Buf;

use super::chunk_stream::{ChunkStream, find};
use crate::rtmp::chunk_writer::EXTENDED_FROM_MS;

/// One chunk's header, with what its type leaves out left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub size_bytes: usize,
    pub fmt: u8,
    pub csid: u32,
    pub time: Option<u32>,
    pub length_and_type: Option<(usize, u8)>,
    pub stream_id: Option<u32>,
    pub extended: Option<u32>,
}

/// The header at the start of `bytes`, or `None` if more bytes are needed.
pub(super) fn parse_header(bytes: &[u8], streams: &[ChunkStream]) -> Option<Header> {
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
        skip_repeated_extended(&mut rest, find(streams, csid).and_then(|place| streams.get(place)))?;
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
    if repeated.starts_with(rest) { None } else { Some(()) }
}
