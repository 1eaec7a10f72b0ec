//! The states of an upgrade in place: any bytes are refused, or restored as something that goes on working.

use std::{sync::Arc, time::Duration};

use super::serve;
use crate::{
    flv::{reader::FlvReader, websocket::ClientReader},
    hls::{
        buffer_pool::BufferPool,
        container::Container,
        fmp4::container::Fmp4Container,
        playlist::{Detail, OpenInfo, Playlist, SegmentInfo},
        segment::SegmentPart,
        segmenter::Segmenter,
        ts::container::TsContainer,
    },
    rtmp::session::Session,
    samples,
    stream::{
        batch::Batch,
        batcher::Batcher,
        frame::Track,
        gop::{GopCache, GopLimits},
        keyframe_rhythm::KeyframeRhythm,
        publication_resume::PublicationResume,
        tracks::Tracks,
        video_entry::EntryLimits,
        viewer_queue::{LagLimits, ViewerQueue},
    },
    upgrade::{
        StateError,
        testing::{moment, read_headed},
    },
};

/// Restores one noun from a state and its media, and goes on with it.
type Restored = fn(&[u8], &[u8]) -> Result<(), StateError>;

const NOUNS: [Restored; 11] = [
    viewer_queue,
    session,
    batcher,
    gop_cache,
    publication_resume,
    keyframe_rhythm,
    websocket_reader,
    hls_segmenter::<TsContainer>,
    hls_segmenter::<Fmp4Container>,
    hls_playlist,
    flv_reader,
];

/// A state: the noun, the length of its data, the data, its media, which is also what comes next.
pub fn upgraded_state(data: &[u8]) {
    let Some(([noun, length @ ..], rest)) = data.split_first_chunk::<3>() else { return };
    let length = usize::from(u16::from_le_bytes(*length));
    let (state, media) = rest.split_at(rest.len().min(length));
    let _ = NOUNS[usize::from(*noun) % NOUNS.len()](state, media);
}

/// Batches of a stream, the first of which decoding can start at.
fn batches() -> Vec<Arc<Batch>> {
    let mut batcher = Batcher::default();
    let frames = [samples::video_header(), samples::keyframe(40), samples::inter(80), samples::audio(90)];
    for frame in frames {
        let _ = batcher.push(frame);
    }
    batcher.flush()
}

fn viewer_queue(state: &[u8], media: &[u8]) -> Result<(), StateError> {
    let (state, blobs) = read_headed(state, media)?;
    let now = moment();
    let mut queue = ViewerQueue::restore(state, &blobs, now)?;
    let limits = LagLimits { queue_max_bytes: 300, queue_max_ms: 500, stall_max: Duration::from_secs(1) };
    for batch in batches().iter().cycle().take(20) {
        queue.push(batch, now);
        queue.enforce(&limits);
        queue.advance(media.len(), now);
    }
    queue.restart();
    queue.finish(now);
    queue.advance(usize::MAX, now);
    assert!(queue.is_empty());
    Ok(())
}

fn session(state: &[u8], media: &[u8]) -> Result<(), StateError> {
    let (state, blobs) = read_headed(state, media)?;
    serve(&mut Session::restore(state, Arc::default(), &blobs)?, media);
    Ok(())
}

fn batcher(state: &[u8], media: &[u8]) -> Result<(), StateError> {
    let (state, blobs) = read_headed(state, media)?;
    let mut batcher = Batcher::restore(state, EntryLimits::default(), &blobs)?;
    let frames = [samples::keyframe, samples::inter, samples::audio].into_iter().cycle();
    for (frame, step_ms) in frames.zip(media) {
        let _ = batcher.push(frame(u32::from(*step_ms) << 24 | 0x40));
        let _ = batcher.push(frame(u32::from(*step_ms)));
        batcher.flush();
    }
    batcher.open();
    batcher.end_publisher();
    let _ = batcher.push(samples::keyframe(0));
    batcher.flush();
    Ok(())
}

fn gop_cache(state: &[u8], media: &[u8]) -> Result<(), StateError> {
    let (state, blobs) = read_headed(state, media)?;
    let limits = GopLimits { gops_max: 2, size_max_bytes: 4096, window_ms: 1000 };
    let mut gops = GopCache::restore(state, limits, &blobs)?;
    for batch in &batches() {
        gops.push(batch);
        gops.join(Tracks::ALL);
    }
    assert!(gops.size_bytes() <= limits.size_max_bytes);
    Ok(())
}

fn publication_resume(state: &[u8], media: &[u8]) -> Result<(), StateError> {
    let (state, blobs) = read_headed(state, media)?;
    let mut resume = PublicationResume::restore(state, &blobs)?;
    resume.take(vec![samples::video_header(), samples::keyframe(0), samples::audio(5)]);
    resume.reconnected();
    resume.take(vec![samples::video_header(), samples::keyframe(0), samples::inter(u32::MAX)]);
    Ok(())
}

fn keyframe_rhythm(state: &[u8], media: &[u8]) -> Result<(), StateError> {
    let mut rhythm = KeyframeRhythm::restore(read_headed(state, media)?.0, 50)?;
    for time_ms in [0, 1_000, 2_000] {
        rhythm.note_messages(media.len());
        rhythm.note(time_ms, time_ms);
        rhythm.wait_ms(150, time_ms);
        rhythm.wait_for_look_ms(10, 50, time_ms);
    }
    Ok(())
}

fn websocket_reader(state: &[u8], media: &[u8]) -> Result<(), StateError> {
    let (state, blobs) = read_headed(state, media)?;
    let mut reader = ClientReader::restore(state, &blobs)?;
    let _ = reader.feed(media, |_| {});
    Ok(())
}

fn flv_reader(state: &[u8], media: &[u8]) -> Result<(), StateError> {
    let (state, blobs) = read_headed(state, media)?;
    let mut reader = FlvReader::restore(state, 1000, &blobs)?;
    reader.feed(media);
    while let Ok(Some(_)) = reader.next_frame() {}
    Ok(())
}

/// Video and audio of this length, and a frame of either that comes much later.
fn hls_segmenter<C: Container>(state: &[u8], media: &[u8]) -> Result<(), StateError> {
    let (state, blobs) = read_headed(state, media)?;
    let mut segmenter = Segmenter::<C>::restore(state, BufferPool::new(1 << 16), &blobs)?;
    let [audio, inter, keyframe] =
        [samples::audio, samples::inter, samples::keyframe].map(|frame| frame(0).payload);
    for at_ms in (0..media.len() as i64 * 10).step_by(40).take(100) {
        let _ = segmenter.push(Track::Video, at_ms, &inter);
        let _ = segmenter.push(Track::Audio, at_ms, &audio);
    }
    for (track, payload) in [(Track::Audio, audio), (Track::Video, keyframe)] {
        let _ = segmenter.push(track, i64::MAX / 4, &payload);
        while segmenter.next_output().is_some() {}
    }
    segmenter.discontinuity();
    segmenter.finish();
    Ok(())
}

fn hls_playlist(state: &[u8], media: &[u8]) -> Result<(), StateError> {
    let (state, _) = read_headed(state, media)?;
    let mut playlist = Playlist::restore(state, Fmp4Container::FORMAT, 5)?;
    let part = SegmentPart { duration_ms: 500, size_bytes: media.len(), independent: true };
    for now_ms in [10, 1 << 40] {
        playlist.push_part(OPEN, part);
        let _ = playlist.push(segment_info(playlist.next_sequence()), now_ms);
        playlist.expired(now_ms);
        playlist.render("", Detail::Parts);
        playlist.window();
    }
    playlist.end();
    playlist.render("", Detail::Segments);
    Ok(())
}

const OPEN: OpenInfo =
    OpenInfo { discontinuity: true, independent: true, program_date_time_ms: 1 << 40, init: Some(3) };

fn segment_info(sequence: u64) -> SegmentInfo {
    let OpenInfo { discontinuity, independent, program_date_time_ms, init } = OPEN;
    SegmentInfo {
        sequence,
        duration_ms: 2_000,
        discontinuity,
        independent,
        program_date_time_ms,
        size_bytes: 1_000,
        init,
    }
}

#[cfg(test)]
pub(super) use tests::seeds;

#[cfg(test)]
mod tests;
