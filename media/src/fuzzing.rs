//! The parsers of a peer's bytes, as functions of any bytes: `cargo fuzz` runs each for hours, the tests below run all of
//! them for a moment.
//!
//! Each of [`TARGETS`] has a file of its name in `fuzz/fuzz_targets`.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    codec::{
        adts::AdtsConfig,
        annex_b::AccessUnit,
        avc::parse_avcc,
        frame_size::FrameSize,
        hevc::parse_hvcc,
        nal::{NalConfig, NalConfigError},
    },
    flv::{self, audio::AudioHeader, reader::FlvReader, video::VideoHeader},
    hls::{
        buffer_pool::BufferPool,
        segment_name::SegmentName,
        segmenter::{Segmenter, SegmenterConfig},
    },
    rtmp::{
        amf0,
        chunk_reader::{ChunkLimits, ChunkReader},
        client::Client,
        command::Command,
        handshake::Handshake,
        mux::flv_to_chunks,
        session::{Event, Session},
    },
    stream::{
        batcher::Batcher,
        frame::Frame,
        gop::{GopCache, GopLimits},
        metadata::Metadata,
        publication_resume::PublicationResume,
        room::RoomName,
        wire_format::WireFormat,
    },
    webrtc::{
        audio::track::AudioTrack,
        gop::RtpGop,
        packetizer::{Packetizer, Unit},
        payload::PAYLOAD_MAX_BYTES,
        video_feed::VideoFeed,
    },
};

mod upgraded_state;

pub use upgraded_state::upgraded_state;

/// A parser and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 18] = [
    ("rtmp_handshake", rtmp_handshake),
    ("rtmp_chunks", rtmp_chunks),
    ("rtmp_session", rtmp_session),
    ("rtmp_publisher", rtmp_publisher),
    ("rtmp_command", rtmp_command),
    ("amf0", amf0_values),
    ("flv_reader", flv_reader),
    ("pulled_stream", pulled_stream),
    ("published_stream", published_stream),
    ("frame_headers", frame_headers),
    ("aac_config", aac_config),
    ("avc_config", avc_config),
    ("hevc_config", hevc_config),
    ("metadata", metadata),
    ("names", names),
    ("webrtc_media", webrtc_media),
    ("webrtc_audio", webrtc_audio),
    ("upgraded_state", upgraded_state),
];

/// The largest command, message or frame that is accepted, in bytes. Small, so that limits are met.
const LIMIT_BYTES: usize = 4096;

/// The size of the server's part of a handshake, in bytes.
const HANDSHAKE_MAX_BYTES: usize = 4096;

/// The front of the input as a number, and the rest in pieces of that size: a peer's bytes arrive in any.
fn in_pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (size_bytes, rest) =
        data.split_first().map_or((1, data), |(first, rest)| (usize::from(*first), rest));
    rest.chunks(size_bytes.max(1))
}

/// RTMP's C0, C1 and C2.
pub fn rtmp_handshake(data: &[u8]) {
    let (mut handshake, mut output) = (Handshake::new(), Vec::new());
    for mut piece in in_pieces(data) {
        if handshake.feed(&mut piece, &mut output).is_err() {
            break;
        }
    }
    assert!(output.len() <= HANDSHAKE_MAX_BYTES);
}

/// RTMP chunks to messages.
pub fn rtmp_chunks(data: &[u8]) {
    let limits = ChunkLimits {
        message_limit_bytes: LIMIT_BYTES,
        command_limit_bytes: LIMIT_BYTES / 4,
        in_flight_limit_bytes: 2 * LIMIT_BYTES,
        ..ChunkLimits::default()
    };
    let mut reader = ChunkReader::new(limits);
    for mut piece in in_pieces(data) {
        while let Ok(Some(message)) = reader.next_message(&mut piece) {
            assert!(message.payload.len() <= LIMIT_BYTES);
        }
        assert!(reader.in_flight_bytes() <= limits.in_flight_limit_bytes.min(data.len()));
    }
}

/// A whole connection, from its first byte.
pub fn rtmp_session(data: &[u8]) {
    serve(&mut Session::new(Arc::default()), data);
}

/// A connection whose publish was accepted: few inputs get that far by themselves.
pub fn rtmp_publisher(data: &[u8]) {
    let (mut client, mut session) = (Client::publisher("live", "room"), Session::new(Arc::default()));
    for _ in 0..4 {
        let _ = session.feed(&client.take_output());
        session.accept();
        let _ = client.feed(&session.take_output());
    }
    while session.poll_event().is_some() {}
    serve(&mut session, data);
}

/// Feeds a session, accepts every request, and drains it.
fn serve(session: &mut Session, data: &[u8]) {
    for piece in in_pieces(data) {
        let fed = session.feed(piece);
        while let Some(event) = session.poll_event() {
            if let Event::Publish(_) | Event::Play(_) = event {
                session.accept();
            }
        }
        session.take_output();
        if fed.is_err() {
            return;
        }
    }
}

/// A command message, of both types that carry one.
pub fn rtmp_command(data: &[u8]) {
    let _ = Command::parse(20, data, LIMIT_BYTES);
    let _ = Command::parse(17, data, LIMIT_BYTES);
}

/// AMF0 values. Those that are read can be written, and are the same when they are read again.
pub fn amf0_values(data: &[u8]) {
    let Ok(values) = amf0::read_all(data) else { return };
    let written = |values: &[amf0::Value]| {
        let mut out = Vec::new();
        amf0::write_all(values, &mut out);
        out
    };
    let once = written(&values);
    // Not the values: NaN is not itself.
    assert_eq!(amf0::read_all(&once).map(|values| written(&values)), Ok(once));
}

/// An FLV stream as another node sends it.
pub fn flv_reader(data: &[u8]) {
    frames(data, |frame| assert!(frame.payload.len() <= LIMIT_BYTES));
}

/// The frames of an FLV stream, up to where it cannot be read.
fn frames(data: &[u8], mut take: impl FnMut(Frame)) {
    let mut reader = FlvReader::new(LIMIT_BYTES);
    for piece in in_pieces(data) {
        reader.feed(piece);
        while let Ok(Some(frame)) = reader.next_frame() {
            take(frame);
        }
    }
}

/// A pulled publication that breaks off now and then and is resumed.
pub fn pulled_stream(data: &[u8]) {
    let (mut resume, mut taken) = (PublicationResume::default(), 0);
    frames(data, |frame| {
        if frame.timestamp_ms % 7 == 0 {
            resume.reconnected();
        }
        taken += resume.take(vec![frame]).frames.len();
    });
    assert!(taken <= data.len());
}

/// A publisher's frames on their way to viewers: timeline, batches, cached GOPs, RTMP chunks, segments.
pub fn published_stream(data: &[u8]) {
    let mut batcher = Batcher::default();
    let mut gops = GopCache::new(GopLimits { gops_max: 2, size_max_bytes: 4 * LIMIT_BYTES, window_ms: 1000 });
    let mut segmenter = Segmenter::new(SegmenterConfig::default(), BufferPool::new(LIMIT_BYTES));
    frames(data, |frame| {
        if frame.payload.len() % 31 == 30 {
            batcher.end_publisher();
            segmenter.discontinuity();
        }
        let _ = batcher.push(frame);
        for batch in batcher.flush() {
            gops.push(&batch);
            for (track, time_ms, payload) in flv::frames(batch.flv(), batch.first_ms) {
                let _ = segmenter.push(track, time_ms, &payload);
            }
            flv_to_chunks(batch.bytes(WireFormat::Flv));
        }
    });
    gops.join(batcher.tracks());
    segmenter.finish();
}

/// A publisher's frames on their way to WebRTC viewers: packets of RTP, the GOP in RTP, and a viewer's place in it.
pub fn webrtc_media(data: &[u8]) {
    let (mut batcher, mut packetizer) = (Batcher::default(), Packetizer::default());
    let (mut gop, mut feed, mut units) = (RtpGop::default(), VideoFeed::default(), Vec::new());
    packetizer.set_listeners(true);
    frames(data, |frame| {
        match frame.payload.len() % 31 {
            30 => batcher.end_publisher(),
            29 => packetizer.end_publisher(),
            28 => feed.miss(),
            _ => {}
        }
        let _ = batcher.push(frame);
        batcher.flush().iter().for_each(|batch| packetizer.push(batch, &mut units));
        let _ = packetizer.profile();
        for unit in units.drain(..) {
            let Unit::Video(unit) = unit else { continue };
            assert!(unit.payloads.iter().all(|payload| (1..=PAYLOAD_MAX_BYTES).contains(&payload.len())));
            gop.push(&unit);
            feed.push(&unit, |packet| assert!(!packet.payload.is_empty()));
        }
    });
}

/// AAC to Opus: a configuration, and frames behind their lengths.
pub fn webrtc_audio(data: &[u8]) {
    let Some((header, frames)) = data.split_at_checked(2) else { return };
    let mut track = AudioTrack::default();
    track.set_listeners(true);
    track.push_header(&[b"\xAF\x00", header].concat());
    let (mut rest, mut time_ms) = (frames, 0);
    while let Some((length, behind)) = rest.split_first() {
        let (frame, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        track
            .push(time_ms, &[b"\xAF\x01", frame].concat(), |unit| assert!(unit.payload.len() <= LIMIT_BYTES));
        // Some are of another place in the stream.
        time_ms += i64::from(*length % 64);
        rest = behind;
    }
}

/// The first bytes of a frame's payload.
pub fn frame_headers(data: &[u8]) {
    let _ = VideoHeader::parse(data);
    let _ = AudioHeader::parse(data);
    let _ = FrameSize::of_sequence_header(data);
}

/// An AudioSpecificConfig, and the header of each frame under it.
pub fn aac_config(data: &[u8]) {
    if let Ok(config) = AdtsConfig::parse(data) {
        config.sample_rate_hz();
        let _ = config.header(data.len());
    }
}

/// An AVCDecoderConfigurationRecord and access units under it.
pub fn avc_config(data: &[u8]) {
    configured(data, parse_avcc);
}

/// An HEVCDecoderConfigurationRecord and access units under it.
pub fn hevc_config(data: &[u8]) {
    configured(data, parse_hvcc);
}

/// The front byte says how much of the rest is configuration.
fn configured(data: &[u8], parse: impl Fn(&[u8]) -> Result<NalConfig, NalConfigError>) {
    let Some((size_bytes, rest)) = data.split_first() else { return };
    let (record, nals) = rest.split_at(rest.len().min(usize::from(*size_bytes)));
    let Ok(config) = parse(record) else { return };
    if let Ok(Some(unit)) = AccessUnit::read(&Arc::new(config), Bytes::copy_from_slice(nals), true) {
        let mut out = Vec::new();
        unit.put(&mut out);
        assert!(out.len() <= unit.size_max_bytes());
    }
}

/// A data message.
pub fn metadata(data: &[u8]) {
    Metadata::parse(data);
}

/// Names in addresses: rooms and segments.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(name) = SegmentName::parse(text) {
        assert_eq!(name.to_string(), text);
    }
    if let Ok(room) = RoomName::new(text) {
        assert!(!room.as_str().contains('/') && room.as_str() != "..");
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::*;
    use crate::{
        flv::{file_header, put_tag},
        samples,
    };

    /// Well-formed inputs, of which a damaged one gets further than bytes by chance.
    fn seeds() -> Vec<Vec<u8>> {
        let frames = [
            samples::metadata(true, true),
            samples::video_header(),
            samples::audio_header(),
            samples::keyframe(0),
            samples::audio(10),
            samples::inter(40),
            samples::keyframe(1000),
        ];
        let mut stream = [&[255], &file_header(true, true)[..]].concat();
        frames.iter().for_each(|frame| {
            put_tag(&mut stream, frame.track, frame.timestamp_ms.into(), &frame.payload);
        });
        let chunks = flv_to_chunks(&stream[14..]);
        let config = samples::video_header().payload.slice(5..);
        let mut seeds = vec![
            [&[200], &chunks[..]].concat(),
            [&[config.len() as u8], &config[..], b"\0\0\0\x02\x65\x01"].concat(),
            [&[250, 3], &[0; 1536][..], &[7; 1536]].concat(),
            b"seg-17.ts".to_vec(),
            [&[0x11, 0x88], &b"\x01\xE0".repeat(40)[..]].concat(),
            stream,
        ];
        seeds.extend(frames.iter().map(|frame| frame.payload.to_vec()));
        seeds.extend(upgraded_state::seeds());
        seeds
    }

    fn any_input() -> impl Strategy<Value = Vec<u8>> {
        let damage = prop::collection::vec((any::<Index>(), any::<u8>()), 0..6);
        let damaged =
            (prop::sample::select(seeds()), damage, any::<Index>()).prop_map(|(mut seed, damage, cut)| {
                for (at, byte) in damage {
                    let at = at.index(seed.len());
                    seed[at] = byte;
                }
                seed.remove(cut.index(seed.len()));
                seed
            });
        prop_oneof![prop::collection::vec(any::<u8>(), 0..600), damaged]
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data in any_input()) {
            TARGETS.iter().for_each(|(_, target)| target(&data));
        }
    }

    #[test]
    fn well_formed_inputs_are_read_to_their_end() {
        let seeds = seeds();
        TARGETS.iter().for_each(|(_, target)| seeds.iter().for_each(|seed| target(seed)));
        let mut read = 0;
        frames(&seeds[5], |_| read += 1);
        assert_eq!(read, 7);
    }

    #[test]
    fn each_target_has_its_file() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
        for (name, _) in TARGETS {
            let text = std::fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap_or_default();
            assert!(text.contains("fuzz_target!"), "fuzz/fuzz_targets/{name}.rs");
        }
    }
}
