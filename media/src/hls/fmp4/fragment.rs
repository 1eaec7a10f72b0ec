//! A fragment: `moof` with a `traf` per track, and `mdat` (ISO/IEC 14496-12, section 8.8).

use super::{
    boxes::{patch, put_box, put_full_box, put_u32},
    init::{AUDIO_TRACK, VIDEO_TRACK},
};

/// A sample that others are not needed for (section 8.8.3.1: sample_depends_on is 2).
const SYNC_FLAGS: u32 = 0x0200_0000;
/// One that depends on others, and at which decoding cannot begin.
const INTER_FLAGS: u32 = 0x0101_0000;

/// Bytes of a fragment's boxes beside its samples, without [`SAMPLE_BYTES`] for each.
pub(super) const FRAGMENT_BYTES: usize = 256;
/// The most that a sample takes in `trun`.
pub(super) const SAMPLE_BYTES: usize = 16;

/// A sample, and when it is decoded, in its track's timescale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    pub decoded: u64,
    pub duration: u32,
    /// Presentation minus decoding.
    pub composition: i32,
    pub is_sync: bool,
    pub data: &'a [u8],
}

/// Appends a fragment, the samples of each track in the order of decoding.
pub(super) fn put_fragment(out: &mut Vec<u8>, sequence: u32, video: &[Sample<'_>], audio: &[Sample<'_>]) {
    const MDAT_HEADER_BYTES: usize = 8;
    let start = out.len();
    let mut offsets = Vec::with_capacity(2);
    put_box(out, b"moof", |out| {
        put_full_box(out, b"mfhd", 0, 0, |out| put_u32(out, sequence));
        offsets.extend(put_track(out, VIDEO_TRACK, video, put_video_run));
        offsets.extend(put_track(out, AUDIO_TRACK, audio, put_audio_run));
    });
    let mut data_at = out.len() - start + MDAT_HEADER_BYTES;
    let runs = [video, audio].into_iter().filter(|samples| !samples.is_empty());
    for (offset_at, samples) in offsets.into_iter().zip(runs) {
        patch(out, offset_at, data_at as u32);
        data_at += samples.iter().map(|sample| sample.data.len()).sum::<usize>();
    }
    put_box(out, b"mdat", |out| {
        video.iter().chain(audio).for_each(|sample| out.extend_from_slice(sample.data));
    });
}

/// Returns where the offset of the samples' data is to be written, if there are samples.
fn put_track(
    out: &mut Vec<u8>,
    track: u32,
    samples: &[Sample<'_>],
    put_run: impl FnOnce(&mut Vec<u8>, &[Sample<'_>]) -> usize,
) -> Option<usize> {
    const BASE_IS_MOOF: u32 = 0x02_0000;
    const DEFAULT_FLAGS: u32 = 0x20;
    let first = samples.first()?;
    let mut offset_at = 0;
    put_box(out, b"traf", |out| {
        put_full_box(out, b"tfhd", 0, BASE_IS_MOOF | DEFAULT_FLAGS, |out| {
            put_u32(out, track);
            put_u32(out, SYNC_FLAGS);
        });
        put_full_box(out, b"tfdt", 1, 0, |out| out.extend_from_slice(&first.decoded.to_be_bytes()));
        offset_at = put_run(out, samples);
    });
    Some(offset_at)
}

const DATA_OFFSET: u32 = 0x1;
const DURATIONS: u32 = 0x100;
const SIZES: u32 = 0x200;
const FLAGS: u32 = 0x400;
const COMPOSITION_OFFSETS: u32 = 0x800;

fn put_video_run(out: &mut Vec<u8>, samples: &[Sample<'_>]) -> usize {
    put_run(out, DURATIONS | SIZES | FLAGS | COMPOSITION_OFFSETS, samples, |out, sample| {
        put_u32(out, sample.duration);
        put_u32(out, sample.data.len() as u32);
        put_u32(out, if sample.is_sync { SYNC_FLAGS } else { INTER_FLAGS });
        out.extend_from_slice(&sample.composition.to_be_bytes());
    })
}

fn put_audio_run(out: &mut Vec<u8>, samples: &[Sample<'_>]) -> usize {
    put_run(out, DURATIONS | SIZES, samples, |out, sample| {
        put_u32(out, sample.duration);
        put_u32(out, sample.data.len() as u32);
    })
}

/// Version 1, in which composition offsets have a sign.
fn put_run(
    out: &mut Vec<u8>,
    flags: u32,
    samples: &[Sample<'_>],
    put_sample: impl Fn(&mut Vec<u8>, &Sample<'_>),
) -> usize {
    let mut offset_at = 0;
    put_full_box(out, b"trun", 1, DATA_OFFSET | flags, |out| {
        put_u32(out, samples.len() as u32);
        offset_at = out.len();
        put_u32(out, 0);
        samples.iter().for_each(|sample| put_sample(out, sample));
    });
    offset_at
}
