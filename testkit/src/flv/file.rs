//! FLV files, and what of them a viewer saw.

use std::path::Path;

use synctv_media::{
    flv::reader::FlvReader,
    stream::frame::{Frame, Track},
};

use crate::frames;

/// Returns the frames of a file.
pub fn read_file(path: &Path) -> Vec<Frame> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = FlvReader::new(16 * 1024 * 1024);
    reader.feed(&bytes);
    std::iter::from_fn(|| reader.next_frame().expect("the file is FLV")).collect()
}

/// Returns the coded audio or video of a stream, without the headers.
pub fn coded(all: &[Frame], track: Track) -> Vec<Frame> {
    let of_track = |frame: &&Frame| frame.track == track && frames::is_coded(frame);
    all.iter().filter(of_track).cloned().collect()
}

/// Returns the first sequence header of a track.
pub fn sequence_header(all: &[Frame], track: Track) -> Option<&Frame> {
    all.iter().find(|frame| frame.track == track && frames::is_sequence_header(frame))
}

/// Asserts that `seen` is `source` from some frame on to the end: the same payloads and times, none missing or added.
/// Returns where it begins.
pub fn assert_tail(source: &[Frame], seen: &[Frame], what: &str) -> usize {
    let first = seen.first().unwrap_or_else(|| panic!("{what}: nothing came"));
    let begin = source
        .iter()
        .position(|frame| frame == first)
        .unwrap_or_else(|| panic!("{what}: the first frame, at {} ms, was not sent", first.timestamp_ms));
    let expected = &source[begin..];
    let differs = expected.iter().zip(seen).position(|(sent, came)| sent != came);
    assert_eq!(differs, None, "{what}: a frame differs, counted from the first seen");
    assert_eq!(seen.len(), expected.len(), "{what}: the number of frames");
    begin
}
