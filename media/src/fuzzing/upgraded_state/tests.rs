//! A state of each noun.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    flv::{file_header, put_tag},
    hls::{
        playlist::{PartConfig, PlaylistConfig},
        segmenter::SegmenterConfig,
    },
    rtmp::{
        amf0::{self, Value},
        chunk_writer::{MessageHeader, write_message},
    },
    stream::{frame::Frame, gop::ParkedCache, wire_format::WireFormat},
    upgrade::{
        Blobs, VERSION,
        testing::{split, written},
    },
};

/// A state that was written.
struct Written {
    data: Vec<u8>,
    media: Vec<u8>,
    /// The state alone: the index before it follows the places of the media in memory.
    state: Vec<u8>,
}

/// States as the target takes them.
pub(in crate::fuzzing) fn seeds() -> Vec<Vec<u8>> {
    let seed = |(noun, Written { data, media, .. }): (usize, Written)| {
        let length = u16::try_from(data.len()).unwrap().to_le_bytes();
        [&[noun as u8], &length[..], &data, &media].concat()
    };
    states().into_iter().enumerate().map(seed).collect()
}

/// A state of each noun, in the order of the target's nouns.
fn states() -> Vec<Written> {
    let mut batcher = batcher_in_use();
    let batches = batcher.flush();
    let _ = batcher.push(samples::inter(160));
    let mut gops = GopCache::new(GopLimits { gops_max: 2, size_max_bytes: 1 << 20, window_ms: 1_000 });
    let now = moment();
    let mut queue = ViewerQueue::new(WireFormat::Flv, now);
    for batch in &batches {
        gops.push(batch);
        queue.push(batch, now);
    }
    queue.advance(20, now);
    vec![
        parts(|blobs| queue.state(blobs, now)),
        parts(|blobs| publishing_session().state(blobs)),
        parts(|blobs| batcher.state(blobs)),
        parts(|blobs| ParkedCache::states(&[ParkedCache::new(gops, 0)], blobs).remove(0)),
        parts(|blobs| repeated_publication().state(blobs)),
        parts(|_| rhythm().state()),
        parts(|blobs| websocket_reader().state(blobs)),
        parts(|blobs| segmenter_in_use::<TsContainer>().state(blobs)),
        parts(|blobs| segmenter_in_use::<Fmp4Container>().state(blobs)),
        parts(|_| playlist_in_use().snapshot(1_000)),
        parts(|blobs| flv_reader().state(blobs)),
    ]
}

/// With a part of its open segment, of which frames of both tracks wait.
fn segmenter_in_use<C: Container>() -> Segmenter<C> {
    let config = SegmenterConfig { part_ms: Some(200), ..SegmenterConfig::default() };
    let mut segmenter = Segmenter::with_container(config, C::default(), BufferPool::new(1 << 16));
    let mut push = |at_ms, frame: Frame| segmenter.push(frame.track, at_ms, &frame.payload).unwrap();
    push(0, samples::video_header());
    push(0, samples::audio_header());
    push(0, samples::keyframe(0));
    for at_ms in (40..400).step_by(40) {
        push(at_ms, samples::audio(0));
        push(at_ms, samples::inter(0));
    }
    push(500, samples::audio(0));
    while segmenter.next_output().is_some() {}
    segmenter
}

/// With segments that have left it, and parts of the next one.
fn playlist_in_use() -> Playlist {
    let parts = Some(PartConfig::new(500, None));
    let mut playlist = Playlist::new(PlaylistConfig {
        format: Fmp4Container::FORMAT,
        window: 3,
        target_ms: 2_000,
        first_sequence: 7,
        first_discontinuity_sequence: 1,
        parts,
    });
    let part = SegmentPart { duration_ms: 500, size_bytes: 100, independent: true };
    for now_ms in 0..6 {
        playlist.push_part(OPEN, part);
        playlist.push(segment_info(playlist.next_sequence()), now_ms).unwrap();
    }
    playlist.push_part(OPEN, part);
    playlist
}

fn parts<T: Serialize>(state: impl FnOnce(&mut Blobs) -> T) -> Written {
    let mut blobs = Blobs::default();
    let state = state(&mut blobs);
    let (data, media) = split(&written(&state, &blobs));
    Written { data, media, state: postcard::to_stdvec(&state).unwrap() }
}

fn batcher_in_use() -> Batcher {
    let mut batcher = Batcher::default();
    let colour = Frame { payload: b"\x94hvc1\x02"[..].into(), ..samples::video_header() };
    let headers = [samples::metadata(true, true), samples::video_header(), samples::audio_header(), colour];
    let media = [
        samples::keyframe(0),
        samples::audio(5),
        samples::inter(120),
        samples::inter(40),
        samples::inter(80),
    ];
    for frame in headers.into_iter().chain(media) {
        batcher.push(frame).unwrap();
    }
    batcher
}

/// A publisher half a message in.
fn publishing_session() -> Session {
    let command = |name: &str, values: &[Value]| {
        let mut payload = Vec::new();
        amf0::write_all(&[Value::text(name), Value::Number(1.0)], &mut payload);
        amf0::write_all(values, &mut payload);
        message(20, &payload)
    };
    let connect = command("connect", &[Value::object([("app", Value::text("live?key=k"))])]);
    let publish = command("publish", &[Value::Null, Value::text("room")]);
    let mut session = Session::new(Arc::default());
    let bytes =
        [&[3][..], &[0; 1536], &[7; 1536], &connect, &publish, &message(9, &[0x27; 400])[..200]].concat();
    session.feed(&bytes).unwrap();
    // The handshake in it is random.
    session.take_output();
    while session.poll_event().is_some() {}
    session.accept();
    session
}

fn message(type_id: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let header = MessageHeader { csid: 4, type_id, stream_id: 1, timestamp_ms: 40 };
    write_message(&mut out, &header, payload, 128);
    out
}

fn repeated_publication() -> PublicationResume {
    let mut resume = PublicationResume::default();
    resume.take(vec![samples::keyframe(0), samples::inter(40)]);
    resume.reconnected();
    resume.take(vec![samples::video_header(), samples::keyframe(0)]);
    resume
}

fn rhythm() -> KeyframeRhythm {
    let mut rhythm = KeyframeRhythm::default();
    rhythm.note(0, 100);
    rhythm.note(1_000, 1_100);
    rhythm
}

/// In the middle of a ping.
fn websocket_reader() -> ClientReader {
    let mut reader = ClientReader::default();
    reader.feed(b"\x89\x84mask1", |_| {}).unwrap();
    reader
}

/// In the middle of a tag.
fn flv_reader() -> FlvReader {
    let mut stream = file_header(false, true).to_vec();
    put_tag(&mut stream, Track::Video, 40, &[0x27; 100]);
    let mut reader = FlvReader::new(1000);
    reader.feed(&stream[..60]);
    assert_eq!(reader.next_frame(), Ok(None));
    reader
}

#[test]
fn each_state_is_restored_from_what_is_written() {
    for (noun, Written { data, media, .. }) in states().iter().enumerate() {
        assert_eq!(NOUNS[noun](data, media), Ok(()), "{noun}");
    }
}

/// A version, and the digest of its states.
const FORMAT: (u32, &str) = (3, "7ac02f03d9924b82");

#[test]
fn a_format_that_has_changed_has_another_version() {
    let states: Vec<u8> = states().into_iter().flat_map(|written| written.state).collect();
    let digest: String = Sha256::digest(&states)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (VERSION, &*digest),
        FORMAT,
        "A state is written in another way: a process of the same version would read it as something else. Raise VERSION in \
         media/src/upgrade/version.rs, and put both into FORMAT."
    );
}
