//! Sample frames, each payload different from all others.

use bytes::Bytes;
use synctv_media::{
    flv::{
        audio::{AudioHeader, AudioKind},
        video::{VideoHeader, VideoKind},
    },
    stream::frame::{Frame, Track},
};

/// A frame of these bytes.
pub fn frame(track: Track, timestamp_ms: u32, payload: impl Into<Bytes>) -> Frame {
    Frame { track, timestamp_ms, payload: payload.into() }
}

/// An H.264 keyframe with `number` in it.
pub fn keyframe(timestamp_ms: u32, number: u32) -> Frame {
    sized_keyframe(timestamp_ms, number, 100)
}

/// An H.264 inter frame with `number` in it.
pub fn inter(timestamp_ms: u32, number: u32) -> Frame {
    sized_inter(timestamp_ms, number, 100)
}

/// A keyframe of that many bytes.
pub fn sized_keyframe(timestamp_ms: u32, number: u32, size_bytes: usize) -> Frame {
    video_frame(timestamp_ms, 0x17, number, size_bytes)
}

/// An inter frame of that many bytes.
pub fn sized_inter(timestamp_ms: u32, number: u32, size_bytes: usize) -> Frame {
    video_frame(timestamp_ms, 0x27, number, size_bytes)
}

/// An H.264 frame that is shown later than it is decoded, in an order of its own: with B-frames, others are shown before it.
pub fn shown_later(frame: &Frame, later_ms: u32) -> Frame {
    let mut payload = frame.payload.to_vec();
    payload[2..5].copy_from_slice(&later_ms.to_be_bytes()[1..]);
    Frame { payload: payload.into(), ..frame.clone() }
}

/// Returns the number in a frame of [`keyframe`] or [`inter`]; `None` if the frame has none.
pub fn number(frame: &Frame) -> Option<u32> {
    const NUMBER_AT: usize = 10;
    let bytes = frame.payload.get(NUMBER_AT..NUMBER_AT + 4).filter(|_| is_coded(frame))?;
    (frame.track == Track::Video).then(|| bytes.try_into().map(u32::from_be_bytes).ok())?
}

/// A packet of AAC with `number` in it.
pub fn audio(timestamp_ms: u32, number: u32) -> Frame {
    let payload = [b"\xaf\x01".as_slice(), &number.to_be_bytes(), b"audio"].concat();
    frame(Track::Audio, timestamp_ms, payload)
}

/// An H.264 sequence header that differs with `level`.
pub fn video_header(level: u8) -> Frame {
    let mut payload = synctv_media::samples::video_header().payload.to_vec();
    payload[8] = level;
    frame(Track::Video, 0, payload)
}

/// Metadata, H.264 and AAC headers: how an encoder begins.
pub fn headers() -> [Frame; 3] {
    use synctv_media::samples;
    [samples::metadata(true, true), samples::video_header(), samples::audio_header()]
}

/// Metadata and an H.264 header: how an encoder without audio begins.
pub fn video_headers() -> [Frame; 2] {
    use synctv_media::samples;
    [samples::metadata(true, false), samples::video_header()]
}

/// Returns whether decoding can start at it.
pub fn is_keyframe(frame: &Frame) -> bool {
    video_kind(frame) == Some(VideoKind::Keyframe)
}

/// Returns whether it configures a decoder.
pub fn is_sequence_header(frame: &Frame) -> bool {
    match frame.track {
        Track::Video => video_kind(frame) == Some(VideoKind::SequenceHeader),
        Track::Audio => {
            AudioHeader::parse(&frame.payload).is_ok_and(|header| header.kind == AudioKind::SequenceHeader)
        }
        Track::Data => false,
    }
}

/// Returns whether it is audio or video, and nothing that configures them.
pub fn is_coded(frame: &Frame) -> bool {
    match frame.track {
        Track::Video => matches!(video_kind(frame), Some(VideoKind::Keyframe | VideoKind::Inter)),
        Track::Audio => {
            AudioHeader::parse(&frame.payload).is_ok_and(|header| header.kind == AudioKind::Coded)
        }
        Track::Data => false,
    }
}

/// The payloads, to compare what was sent with what came.
pub fn payloads<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Vec<Bytes> {
    frames.into_iter().map(|frame| frame.payload.clone()).collect()
}

/// Asserts that no track's times, nor the 64-bit timeline behind them, go back. Messages without a time of their own
/// are included: viewers see them too.
pub fn assert_never_back(frames: &[Frame]) {
    for track in [Track::Audio, Track::Video, Track::Data] {
        let times: Vec<u32> =
            frames.iter().filter(|frame| frame.track == track).map(|frame| frame.timestamp_ms).collect();
        let back = times.windows(2).find(|two| (two[1].wrapping_sub(two[0]) as i32) < 0);
        assert_eq!(back, None, "{track:?} goes back in {times:?}");
    }
}

fn video_kind(frame: &Frame) -> Option<VideoKind> {
    if frame.track != Track::Video {
        return None;
    }
    VideoHeader::parse(&frame.payload).ok().map(|header| header.kind)
}

/// A tag with one NAL unit, which is a slice.
fn video_frame(timestamp_ms: u32, first: u8, number: u32, size_bytes: usize) -> Frame {
    const BEFORE_UNIT_BYTES: usize = 9;
    let slice = if first >> 4 == 1 { 0x65 } else { 0x41 };
    let mut unit = [&[slice][..], &number.to_be_bytes()].concat();
    let filler = number as u8;
    unit.resize(size_bytes.saturating_sub(BEFORE_UNIT_BYTES).max(unit.len()), filler);
    let length = (unit.len() as u32).to_be_bytes();
    frame(Track::Video, timestamp_ms, [&[first, 1, 0, 0, 0][..], &length, &unit].concat())
}
