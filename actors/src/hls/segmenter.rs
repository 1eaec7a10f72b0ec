//! Cuts one stream into HLS segments: a subscriber like any other.
//!
//! It lives on the stream's own thread. Frames are held as they are and written when their segment ends: 2 s of 1.5 Mbit/s
//! take less than half a millisecond. Waking another thread for every picture would cost more, also to the stream.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Recipient};
use bytes::Bytes;
use log::{debug, info, warn};
use synctv_media::{
    flv,
    hls::{
        container::{Codec, ContainerError},
        segment::{Segment, SegmentError},
        segmenter::Segmenter,
    },
    stream::{
        batch::{Batch, WireFormat},
        frame::Track,
        gop::JoinPoint,
        headers::SharedHeaders,
        metadata::{Metadata, is_metadata},
    },
};

use crate::{
    cluster::registry::numbers::NumberReserve,
    events::{Arrival, MAILBOX_MAX, StreamEvent, SubscriberId, ViewerId},
    hls::{HlsSession, HlsSessions, unix_ms},
    stream::StreamHandle,
};

/// The segmenter is the only viewer of its subscription.
const VIEWER: ViewerId = ViewerId(0);

/// How often it looks whether anyone watches, and whether the stream is still there.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The actor. It outlives its stream for as long as the ended playlist is kept.
pub(crate) struct SegmenterActor {
    hls: HlsSessions,
    stream: StreamHandle,
    id: SubscriberId,
    phase: SegmenterPhase,
    /// Sessions that went on elsewhere before the room came back: their segments stay for a while.
    past: Vec<Arc<HlsSession>>,
    segmenter: Segmenter,
    /// What the metadata says of video.
    announced_video: Option<bool>,
    /// The wall clock minus the stream's timeline, in milliseconds, as it was when the publisher's first media came.
    wall_offset_ms: Option<i64>,
    unreadable_frames: u64,
    warned_of_cut: bool,
}

enum SegmenterPhase {
    /// Nobody has published the stream yet.
    Idle,
    /// Media is cut.
    Cutting(Arc<HlsSession>),
    /// The publisher's codec does not fit; the next publisher's may.
    Refusing(Arc<HlsSession>),
    /// The stream is over; what there is stays for a while.
    Ended(Arc<HlsSession>),
}

impl SegmenterActor {
    /// Starts to cut `stream`, on its thread; `session` is there already if a viewer asked for it.
    pub(crate) fn start(
        hls: HlsSessions,
        stream: StreamHandle,
        session: Option<Arc<HlsSession>>,
    ) -> Recipient<StreamEvent> {
        let thread = stream.thread().clone();
        let (id, of_stream) = (SubscriberId::unique(), stream.clone());
        let segmenter = hls.segmenter();
        let address = Self::start_in_arbiter(thread.arbiter(), move |_| Self {
            hls,
            stream: of_stream,
            id,
            phase: session.map_or(SegmenterPhase::Idle, SegmenterPhase::Cutting),
            past: Vec::new(),
            segmenter,
            announced_video: None,
            wall_offset_ms: None,
            unreadable_frames: 0,
            warned_of_cut: false,
        });
        // From here and not from `started`, so that it comes before anyone publishes.
        stream.join_segmenter(id, VIEWER, address.clone().recipient());
        address.recipient()
    }

    fn publisher_came(&mut self, reserve: NumberReserve, ctx: &mut Context<Self>) {
        self.splice();
        self.announced_video = None;
        self.wall_offset_ms = None;
        self.phase = match std::mem::replace(&mut self.phase, SegmenterPhase::Idle) {
            SegmenterPhase::Idle => SegmenterPhase::Cutting(self.hls.begin(self.stream.room(), reserve)),
            SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session)
                if session.resume(reserve.clone()) =>
            {
                SegmenterPhase::Cutting(session)
            }
            SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session) => {
                self.leave_behind(session, ctx);
                SegmenterPhase::Cutting(self.hls.begin(self.stream.room(), reserve))
            }
            phase @ SegmenterPhase::Ended(_) => phase,
        };
    }

    /// The room was on another node since, with numbers above those of the session.
    fn leave_behind(&mut self, session: Arc<HlsSession>, ctx: &mut Context<Self>) {
        if !session.leave_behind() {
            return self.hls.remove(&session);
        }
        self.past.push(session.clone());
        ctx.run_later(self.hls.keep_ended(), move |segmenter, _| {
            segmenter.past.retain(|past| !Arc::ptr_eq(past, &session));
            segmenter.hls.remove(&session);
        });
    }

    fn publisher_left(&mut self) {
        self.splice();
        if let SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session) = &self.phase {
            session.vacate();
        }
    }

    /// Another node cuts the room from here on. Whatever is cut here later is another session, by another segmenter.
    fn hand_over(&mut self, ctx: &mut Context<Self>) {
        let (SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session)) = &self.phase else {
            return;
        };
        let session = session.clone();
        self.splice();
        self.stream.leave(self.id);
        self.hls.stream_started(&self.stream);
        self.stay_ended(session.leave_behind(), session, ctx);
    }

    fn media(&mut self, batches: &[Arc<Batch>], after_gap: bool) {
        if after_gap {
            self.splice();
            self.segmenter.set_tracks(self.announced_video);
            self.headers(batches.first().and_then(|batch| batch.start.as_ref()));
        }
        batches.iter().for_each(|batch| self.batch(batch));
    }

    fn join(&mut self, point: &JoinPoint) {
        self.headers(Some(&point.headers));
        if let Some(newest) = point.batches.last() {
            self.anchor(newest);
        }
        point.batches.iter().for_each(|batch| self.batch(batch));
    }

    fn batch(&mut self, batch: &Batch) {
        self.anchor(batch);
        self.feed(&batch.flv, batch.first_ms);
    }

    /// The newest media is live now.
    fn anchor(&mut self, batch: &Batch) {
        self.wall_offset_ms.get_or_insert_with(|| unix_ms().cast_signed().saturating_sub(batch.last_ms));
    }

    /// Headers have no time of their own that would matter.
    fn headers(&mut self, headers: Option<&SharedHeaders>) {
        if let Some(headers) = headers {
            self.feed(&headers.bytes(WireFormat::Flv), 0);
        }
    }

    fn feed(&mut self, run: &Bytes, first_ms: i64) {
        for (track, time_ms, payload) in flv::frames(run, first_ms) {
            if !matches!(self.phase, SegmenterPhase::Cutting(_)) {
                return;
            }
            if track == Track::Data {
                self.data(&payload);
            }
            self.frame(track, time_ms, &payload);
        }
    }

    fn data(&mut self, payload: &[u8]) {
        if let Some(announced) = announced_video(payload) {
            self.announced_video = Some(announced);
            self.segmenter.set_tracks(self.announced_video);
        }
    }

    fn frame(&mut self, track: Track, time_ms: i64, payload: &Bytes) {
        match self.segmenter.push(track, time_ms, payload) {
            Ok(segment) => self.publish(segment),
            Err(SegmentError::Container(ContainerError::UnsupportedCodec(codec))) => self.refuse(codec),
            Err(error) => self.note_unreadable(&error),
        }
    }

    /// What comes next does not continue what came.
    fn splice(&mut self) {
        let finished = self.segmenter.discontinuity();
        self.publish(finished);
    }

    fn publish(&mut self, segment: Option<Segment>) {
        let (Some(segment), SegmenterPhase::Cutting(session)) = (segment, &self.phase) else {
            return;
        };
        if segment.forced_cut && !self.warned_of_cut {
            self.warned_of_cut = true;
            warn!(room = self.stream.room().as_str(), duration_ms = segment.duration_ms;
                "HLS: no keyframe for too long, segments are cut without; players may not be able to start");
        }
        let wall_ms = segment.first_ms.saturating_add(self.wall_offset_ms.unwrap_or_default());
        let program_date_time_ms = u64::try_from(wall_ms).unwrap_or_default();
        self.hls.publish(session, segment, program_date_time_ms);
    }

    fn refuse(&mut self, codec: Codec) {
        self.splice();
        self.phase = match std::mem::replace(&mut self.phase, SegmenterPhase::Idle) {
            SegmenterPhase::Cutting(session) => {
                info!(room = self.stream.room().as_str(), codec:% = codec;
                    "HLS: the codec does not fit MPEG-TS, the playlist is refused");
                session.refuse(codec);
                SegmenterPhase::Refusing(session)
            }
            phase => phase,
        };
    }

    fn note_unreadable(&mut self, error: &SegmentError) {
        self.unreadable_frames += 1;
        if self.unreadable_frames == 1 {
            warn!(room = self.stream.room().as_str(), reason:% = error; "HLS: frames that cannot be read are left out");
        }
        debug!(room = self.stream.room().as_str(), frames = self.unreadable_frames; "HLS: unreadable frame");
    }

    fn end(&mut self, ctx: &mut Context<Self>) {
        let finished = self.segmenter.finish();
        self.publish(finished);
        match &self.phase {
            SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session) => {
                let session = session.clone();
                self.stay_ended(session.end(), session, ctx);
            }
            SegmenterPhase::Idle | SegmenterPhase::Ended(_) => ctx.stop(),
        }
    }

    /// What there is stays for a while.
    fn stay_ended(&mut self, has_segments: bool, session: Arc<HlsSession>, ctx: &mut Context<Self>) {
        if has_segments {
            self.phase = SegmenterPhase::Ended(session);
            ctx.run_later(self.hls.keep_ended(), |_, ctx| ctx.stop());
        } else {
            ctx.stop();
        }
    }

    fn check(&mut self, ctx: &mut Context<Self>) {
        match &self.phase {
            SegmenterPhase::Ended(_) => {}
            _ if !self.stream.is_alive() => self.end(ctx),
            SegmenterPhase::Cutting(session) | SegmenterPhase::Refusing(session)
                if self.hls.is_idle(session) =>
            {
                self.stream.leave(self.id);
                ctx.stop();
            }
            SegmenterPhase::Idle | SegmenterPhase::Cutting(_) | SegmenterPhase::Refusing(_) => {}
        }
    }
}

/// Whether a data message announces video, if it announces anything. Only onMetaData is read, whose size is limited: others
/// may be as large as a frame, and their values take many times that.
fn announced_video(payload: &[u8]) -> Option<bool> {
    let metadata = Metadata::parse(Some(payload).filter(|payload| is_metadata(payload))?);
    (metadata.announces_video || metadata.announces_audio).then_some(metadata.announces_video)
}

impl Actor for SegmenterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        ctx.run_interval(CHECK_INTERVAL, |segmenter, ctx| segmenter.check(ctx));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        match &self.phase {
            SegmenterPhase::Idle => {}
            SegmenterPhase::Cutting(session)
            | SegmenterPhase::Refusing(session)
            | SegmenterPhase::Ended(session) => {
                self.hls.remove(session);
            }
        }
        self.past.iter().for_each(|session| self.hls.remove(session));
    }
}

impl Handler<StreamEvent> for SegmenterActor {
    type Result = ();

    fn handle(&mut self, event: StreamEvent, ctx: &mut Self::Context) {
        match event {
            StreamEvent::Media { batches, after_gap } => self.media(&batches, after_gap),
            StreamEvent::Join { point, .. } => self.join(&point),
            StreamEvent::PublisherCame(Arrival::Local(reserve)) => self.publisher_came(reserve, ctx),
            StreamEvent::PublisherCame(Arrival::Remote) => self.hand_over(ctx),
            StreamEvent::PublisherLeft => self.publisher_left(),
            StreamEvent::End(_) => self.end(ctx),
        }
    }
}

#[cfg(test)]
mod tests;
