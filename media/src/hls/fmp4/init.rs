//! The initialisation section: `ftyp` and `moov` (ISO/IEC 14496-12, sections 4.3 and 8.2).

use super::{
    audio::AudioConfig,
    boxes::{put_box, put_full_box, put_u16, put_u32, put_zeros},
    video::VideoConfig,
};

/// Ticks of the video track a second; the audio track has its sampling frequency.
pub(super) const VIDEO_TIMESCALE: u32 = 90_000;

pub(super) const VIDEO_TRACK: u32 = 1;
pub(super) const AUDIO_TRACK: u32 = 2;

const UNITY: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// "und", three letters of five bits.
const UNDETERMINED_LANGUAGE: u16 = 0x55C4;

struct Track<'a> {
    id: u32,
    timescale: u32,
    handler: &'static [u8; 4],
    handler_name: &'static [u8],
    size: (u16, u16),
    volume: u16,
    media_header: &'a dyn Fn(&mut Vec<u8>),
    sample_entry: &'a dyn Fn(&mut Vec<u8>),
}

/// Writes a section with these tracks.
pub(super) fn init_section(video: Option<&VideoConfig>, audio: Option<&AudioConfig>) -> Vec<u8> {
    let mut out = Vec::with_capacity(2048);
    put_box(&mut out, b"ftyp", |out| {
        out.extend_from_slice(b"iso6");
        put_u32(out, 0);
        out.extend_from_slice(b"iso6mp41dash");
    });
    put_box(&mut out, b"moov", |out| {
        put_movie_header(out);
        if let Some(video) = video {
            put_video_track(out, video);
        }
        if let Some(audio) = audio {
            put_audio_track(out, audio);
        }
        put_box(out, b"mvex", |out| {
            let tracks = [video.map(|_| VIDEO_TRACK), audio.map(|_| AUDIO_TRACK)];
            tracks.into_iter().flatten().for_each(|id| put_track_extends(out, id));
        });
    });
    out
}

fn put_movie_header(out: &mut Vec<u8>) {
    put_full_box(out, b"mvhd", 0, 0, |out| {
        put_zeros(out, 8);
        put_u32(out, 1_000);
        put_u32(out, 0);
        put_u32(out, 0x1_0000);
        put_u16(out, 0x0100);
        put_zeros(out, 10);
        UNITY.into_iter().for_each(|value| put_u32(out, value));
        put_zeros(out, 24);
        put_u32(out, u32::MAX);
    });
}

fn put_video_track(out: &mut Vec<u8>, video: &VideoConfig) {
    put_track(
        out,
        &Track {
            id: VIDEO_TRACK,
            timescale: VIDEO_TIMESCALE,
            handler: b"vide",
            handler_name: b"video\0",
            size: video.pixels(),
            volume: 0,
            media_header: &|out| put_full_box(out, b"vmhd", 0, 1, |out| put_zeros(out, 8)),
            sample_entry: &|out| video.put_sample_entry(out),
        },
    );
}

fn put_audio_track(out: &mut Vec<u8>, audio: &AudioConfig) {
    put_track(
        out,
        &Track {
            id: AUDIO_TRACK,
            timescale: audio.rate_hz,
            handler: b"soun",
            handler_name: b"audio\0",
            size: (0, 0),
            volume: 0x0100,
            media_header: &|out| put_full_box(out, b"smhd", 0, 0, |out| put_zeros(out, 4)),
            sample_entry: &|out| audio.put_sample_entry(out),
        },
    );
}

fn put_track(out: &mut Vec<u8>, track: &Track<'_>) {
    const ENABLED_IN_MOVIE: u32 = 3;
    put_box(out, b"trak", |out| {
        put_full_box(out, b"tkhd", 0, ENABLED_IN_MOVIE, |out| {
            put_zeros(out, 8);
            put_u32(out, track.id);
            put_zeros(out, 4 + 4 + 8 + 2 + 2);
            put_u16(out, track.volume);
            put_zeros(out, 2);
            UNITY.into_iter().for_each(|value| put_u32(out, value));
            put_u32(out, u32::from(track.size.0) << 16);
            put_u32(out, u32::from(track.size.1) << 16);
        });
        put_box(out, b"mdia", |out| put_media(out, track));
    });
}

fn put_media(out: &mut Vec<u8>, track: &Track<'_>) {
    put_full_box(out, b"mdhd", 0, 0, |out| {
        put_zeros(out, 8);
        put_u32(out, track.timescale);
        put_u32(out, 0);
        put_u16(out, UNDETERMINED_LANGUAGE);
        put_zeros(out, 2);
    });
    put_full_box(out, b"hdlr", 0, 0, |out| {
        put_zeros(out, 4);
        out.extend_from_slice(track.handler);
        put_zeros(out, 12);
        out.extend_from_slice(track.handler_name);
    });
    put_box(out, b"minf", |out| {
        (track.media_header)(out);
        put_box(out, b"dinf", |out| {
            put_full_box(out, b"dref", 0, 0, |out| {
                put_u32(out, 1);
                put_full_box(out, b"url ", 0, 1, |_| {});
            });
        });
        put_box(out, b"stbl", |out| put_sample_tables(out, track));
    });
}

/// The tables are empty: samples are in fragments.
fn put_sample_tables(out: &mut Vec<u8>, track: &Track<'_>) {
    put_full_box(out, b"stsd", 0, 0, |out| {
        put_u32(out, 1);
        (track.sample_entry)(out);
    });
    for (kind, size_bytes) in [(b"stts", 4), (b"stsc", 4), (b"stsz", 8), (b"stco", 4)] {
        put_full_box(out, kind, 0, 0, |out| put_zeros(out, size_bytes));
    }
}

fn put_track_extends(out: &mut Vec<u8>, id: u32) {
    put_full_box(out, b"trex", 0, 0, |out| {
        put_u32(out, id);
        put_u32(out, 1);
        put_zeros(out, 12);
    });
}
