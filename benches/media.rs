//! The cost of a frame on its way through the pure parts, without sockets.
//!
//! ```text
//! cargo bench --bench media
//! ```

use std::{hint::black_box, sync::Arc, time::Duration};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use synctv_media::{
    hls::{
        buffer_pool::BufferPool,
        fmp4::container::Fmp4Container,
        segment::Output,
        segmenter::{AnnouncedTracks, Segmenter, SegmenterConfig},
    },
    rtmp::{
        OUT_CHUNK_SIZE_BYTES,
        chunk_reader::{ChunkLimits, ChunkReader},
        mux::flv_to_chunks,
    },
    samples,
    stream::{
        batch::Batch,
        batcher::Batcher,
        frame::{Frame, Track},
        viewer_queue::ViewerQueue,
        wire_format::WireFormat,
    },
    webrtc::audio::{rate::OpusRate, track::AudioTrack},
};

/// A frame of a stream of 1.5 Mbit/s at 30 fps.
const FRAME_BYTES: usize = 6_250;

fn frame(number: u32, keyframe: bool) -> Frame {
    let mut payload = vec![0xAB; FRAME_BYTES];
    let nal_bytes = (FRAME_BYTES - 9) as u32;
    payload[..5].copy_from_slice(&[if keyframe { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
    payload[5..9].copy_from_slice(&nal_bytes.to_be_bytes());
    payload[9] = if keyframe { 0x65 } else { 0x41 };
    Frame { track: Track::Video, timestamp_ms: number * 33, payload: payload.into() }
}

/// Two seconds of frames, a keyframe first.
fn frames() -> Vec<Frame> {
    (0..60).map(|number| frame(number, number == 0)).collect()
}

fn batches() -> Vec<Arc<Batch>> {
    let mut batcher = Batcher::default();
    frames()
        .into_iter()
        .flat_map(|frame| {
            batcher.push(frame).expect("a well-formed frame");
            batcher.flush()
        })
        .collect()
}

fn read_chunks(c: &mut Criterion) {
    let wire: Bytes = batches().iter().flat_map(|batch| flv_to_chunks(batch.flv())).collect();
    let mut set_chunk_size = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
    set_chunk_size.extend_from_slice(&(OUT_CHUNK_SIZE_BYTES as u32).to_be_bytes());
    let mut group = c.benchmark_group("chunk reader");
    group.throughput(Throughput::ElementsAndBytes { elements: 60, bytes: wire.len() as u64 });
    let read = || {
        let mut reader = ChunkReader::new(ChunkLimits::default());
        let mut frames_bytes = 0;
        for mut input in [&set_chunk_size[..], &wire[..]] {
            while let Ok(Some(message)) = reader.next_message(&mut input) {
                frames_bytes += black_box(message).payload.len();
            }
        }
        frames_bytes
    };
    assert!(read() >= 60 * FRAME_BYTES, "every frame is read");
    group.bench_function("60 frames", |b| b.iter(read));
}

fn build_batches(c: &mut Criterion) {
    let frames = frames();
    let mut group = c.benchmark_group("batcher");
    group.throughput(Throughput::Bytes((frames.len() * FRAME_BYTES) as u64));
    group.bench_function("60 frames, a flush each", |b| {
        b.iter_batched(
            || (Batcher::default(), frames.clone()),
            |(mut batcher, frames)| {
                for frame in frames {
                    let _ = batcher.push(frame);
                    black_box(batcher.flush());
                }
            },
            BatchSize::SmallInput,
        );
    });
}

#[allow(clippy::disallowed_methods, reason = "an Instant has no other beginning")]
fn queue_for_a_slow_viewer(c: &mut Criterion) {
    let (batches, now) = (batches(), std::time::Instant::now());
    let mut group = c.benchmark_group("viewer queue");
    group.throughput(Throughput::Elements(batches.len() as u64));
    group.bench_function("a frame in, a frame out", |b| {
        b.iter(|| {
            let mut queue = ViewerQueue::new(WireFormat::Flv, now);
            for batch in &batches {
                queue.push(batch, now);
                queue.advance(batch.size_bytes(), now + Duration::from_millis(1));
            }
            queue.dropped()
        });
    });
}

fn mux_transport_stream(c: &mut Criterion) {
    let frames = frames();
    let mut group = c.benchmark_group("segmenter");
    group.throughput(Throughput::Bytes((frames.len() * FRAME_BYTES) as u64));
    let buffers = BufferPool::new(1 << 20);
    let mux = || {
        let mut segmenter = Segmenter::new(SegmenterConfig::default(), buffers.clone());
        segmenter.set_tracks(AnnouncedTracks { video: true, audio: false });
        let _ = segmenter.push(Track::Video, 0, &samples::video_header().payload);
        for frame in &frames {
            let _ = segmenter.push(Track::Video, frame.timestamp_ms.into(), &frame.payload);
        }
        segmenter.finish();
        segmenter.next_segment().map_or(0, |segment| segment.bytes.len())
    };
    assert!(mux() > 60 * FRAME_BYTES, "every frame is in the segment");
    group.bench_function("60 frames to MPEG-TS", |b| b.iter(mux));
}

/// Two seconds of a stream with audio: parts of half a second, and the segment that they make up.
fn mux_fragmented_mp4(c: &mut Criterion) {
    let mut media = frames();
    media.extend((0..86).map(|at| samples::audio(at * 2_000 / 86)));
    media.sort_by_key(|frame| frame.timestamp_ms);
    let mut group = c.benchmark_group("segmenter");
    group.throughput(Throughput::Bytes(media.iter().map(|frame| frame.payload.len() as u64).sum()));
    let buffers = BufferPool::new(1 << 20);
    let mux = || {
        let config = SegmenterConfig { part_ms: Some(500), ..SegmenterConfig::default() };
        let mut segmenter = Segmenter::with_container(config, Fmp4Container::default(), buffers.clone());
        segmenter.set_tracks(AnnouncedTracks { video: true, audio: true });
        for frame in [samples::video_header(), samples::audio_header()].iter().chain(&media) {
            let _ = segmenter.push(frame.track, frame.timestamp_ms.into(), &frame.payload);
        }
        segmenter.finish();
        std::iter::from_fn(|| segmenter.next_output()).fold((0, 0), |(parts, bytes), output| match output {
            Output::Part(_) => (parts + 1, bytes),
            Output::Segment(segment) => (parts, bytes + segment.bytes.len()),
        })
    };
    let (parts, bytes) = mux();
    assert!(parts >= 3 && bytes > 60 * FRAME_BYTES, "{parts} parts, and every frame is in the segment");
    group.bench_function("2 s to fragmented MP4 in parts", |b| b.iter(mux));
}

/// FFmpeg's sines in AAC-LC, stereo at 44.1 kHz, in ADTS. Their kind matters little to the time that they take.
const AAC: &[u8] = include_bytes!("../media/src/webrtc/audio/transcoder/sines-stereo-44100.aac");

const ADTS_HEADER_BYTES: usize = 7;

/// The bodies of FLV tags of ten seconds of audio, with their times.
fn aac_tags() -> Vec<(i64, Vec<u8>)> {
    let (mut frames, mut rest) = (Vec::new(), AAC);
    while let [_, _, _, high, middle, low, _, ..] = rest {
        let length = usize::from(high & 3) << 11 | usize::from(*middle) << 3 | usize::from(low >> 5);
        let (frame, behind) = rest.split_at(length);
        frames.push([b"\xAF\x01", &frame[ADTS_HEADER_BYTES..]].concat());
        rest = behind;
    }
    let count = 44_100 * 10 / 1024;
    (0..count).map(|at| ((at * 1024 * 1000 / 44_100) as i64, frames[at % frames.len()].clone())).collect()
}

/// Ten seconds of audio for the viewers of a room over WebRTC: decoded, resampled and encoded.
fn transcode_audio(c: &mut Criterion) {
    let tags = aac_tags();
    let transcode = || {
        let mut track = AudioTrack::new(OpusRate::default());
        track.push_header(b"\xAF\x00\x12\x10");
        track.set_listeners(true);
        let mut packets = 0;
        for (time_ms, body) in &tags {
            track.push(*time_ms, body, |unit| packets += usize::from(!black_box(unit).payload.is_empty()));
        }
        packets
    };
    assert_eq!(transcode(), 499, "all of it is encoded");
    let mut group = c.benchmark_group("webrtc");
    group.sample_size(20);
    group.bench_function("10 s of AAC to Opus", |b| b.iter(transcode));
}

criterion_group!(
    benches,
    read_chunks,
    build_batches,
    queue_for_a_slow_viewer,
    mux_transport_stream,
    mux_fragmented_mp4,
    transcode_audio
);
criterion_main!(benches);
