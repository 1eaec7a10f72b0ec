//! FLV files, and what of them a viewer saw.

use std::path::Path;

use synctv_media::{
    flv::reader::FlvReader,
    stream::frame::{Frame, Track},
};

use crate::{frames, room_history::FrameSource};

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

/// Waits for as many coded frames as `source` has, and asserts that they are those: the same sequence headers and payloads,
/// in order, none missing or added, all moved in time by the same amount, as behind an earlier publisher.
pub fn assert_arrives(viewer: &mut impl FrameSource, source: &[Frame], what: &str) {
    let is_coded = |frame: &&Frame| frames::is_coded(frame);
    let (expected, mut came) = (source.iter().filter(is_coded).count(), 0);
    let mut seen = Vec::new();
    while came < expected {
        let frame = viewer.next_frame().unwrap_or_else(|| panic!("{what}: {came} frames of {expected}"));
        came += usize::from(frames::is_coded(&frame));
        seen.push(frame);
    }
    let first_ms = |frames| coded(frames, Track::Video)[0].timestamp_ms;
    let moved_ms = first_ms(&seen).wrapping_sub(first_ms(source));
    for track in [Track::Video, Track::Audio] {
        let header = |frames| sequence_header(frames, track).map(|frame| frame.payload.clone());
        assert_eq!(header(&seen), header(source), "{what}: the sequence header of {track:?}");
        let mut sent = coded(source, track);
        sent.iter_mut().for_each(|frame| frame.timestamp_ms = frame.timestamp_ms.wrapping_add(moved_ms));
        let seen = coded(&seen, track);
        let differs = sent.iter().zip(&seen).position(|(sent, seen)| sent != seen);
        assert_eq!(
            (differs, seen.len()),
            (None, sent.len()),
            "{what}: {track:?}: which frame differs, and how many"
        );
    }
}
