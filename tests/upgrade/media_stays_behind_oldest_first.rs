//! The cached media that is handed over is limited: a room whose cache is left behind gives newcomers audio at
//! once and video from the next keyframe, and rooms whose media is small lose none of it.

use std::time::Duration;

use synctv_media::stream::frame::{Frame, Track};
use synctv_testkit::{
    flv::{self, FlvViewer},
    frames,
    room_history::{FrameSource, frames_until},
    rtmp::{self, ClientEvent, RtmpPeer},
};

use crate::installed::Installed;

/// More than is handed over of all caches together.
const LARGE_FRAMES: u32 = 34;
const LARGE_FRAME_BYTES: usize = 1024 * 1024;

/// The frames of a room, in order, each 40 ms behind the one before.
struct Sender {
    publisher: RtmpPeer,
    at_ms: u32,
    number: u32,
}

impl Sender {
    fn start(installed: &Installed, room: &str) -> Self {
        let mut publisher = RtmpPeer::publish(&installed.server, room);
        publisher.send_all(&frames::headers());
        let mut sender = Self { publisher, at_ms: 0, number: 0 };
        sender.send(frames::audio);
        sender.send(frames::keyframe);
        sender
    }

    fn send(&mut self, make: impl Fn(u32, u32) -> Frame) -> Frame {
        let frame = make(self.at_ms, self.number);
        self.publisher.send(&frame);
        self.at_ms += 40;
        self.number += 1;
        frame
    }

    /// Sends audio until `newcomer` gets some: it has joined then. Returns the first audio or video that it got.
    fn send_audio_until_heard(&mut self, newcomer: &mut Newcomer) -> Frame {
        for _ in 0..600 {
            self.send(frames::audio);
            if let Some(first) = newcomer.next_coded(Duration::from_millis(100)) {
                return first;
            }
        }
        panic!("the newcomer got nothing");
    }
}

/// A viewer who joins after the upgrade.
enum Newcomer {
    Flv(FlvViewer),
    Rtmp(Box<RtmpPeer>),
}

impl Newcomer {
    /// Waits up to `limit` for audio or video.
    fn next_coded(&mut self, limit: Duration) -> Option<Frame> {
        loop {
            let frame = match self {
                Self::Flv(viewer) => match viewer.next(limit) {
                    flv::Next::Frame(frame) => frame,
                    flv::Next::Nothing => return None,
                    flv::Next::End => panic!("the newcomer was disconnected"),
                },
                Self::Rtmp(player) => match player.next(limit) {
                    rtmp::Next::Event(ClientEvent::Frame(frame)) => frame,
                    rtmp::Next::Event(_) => continue,
                    rtmp::Next::Nothing => return None,
                    rtmp::Next::End => panic!("the newcomer was disconnected"),
                },
            };
            if frames::is_coded(&frame) {
                return Some(frame);
            }
        }
    }
}

impl FrameSource for Newcomer {
    fn next_frame(&mut self) -> Option<Frame> {
        match self {
            Self::Flv(viewer) => viewer.next_frame(),
            Self::Rtmp(player) => player.next_frame(),
        }
    }
}

/// Fills a room's cache. Returns a viewer who has got all of it.
fn fill(installed: &Installed, sender: &mut Sender, room: &str) -> FlvViewer {
    let mut viewer = FlvViewer::open(&installed.server, room);
    for _ in 0..LARGE_FRAMES {
        let sent = sender.send(|at_ms, number| frames::sized_inter(at_ms, number, LARGE_FRAME_BYTES));
        viewer.frames_until(&sent);
    }
    viewer
}

fn coded(seen: Vec<Frame>) -> Vec<Frame> {
    seen.into_iter().filter(frames::is_coded).collect()
}

#[test]
fn newcomers_hear_the_room_at_once_and_see_it_from_its_next_keyframe() {
    let mut installed = Installed::start(&["--hls", "off"], &[]);
    let mut large = Sender::start(&installed, "large");
    let mut small = Sender::start(&installed, "small");
    let kept = small.send(frames::inter);
    FlvViewer::open(&installed.server, "small").frames_until(&kept);
    let mut stayed = fill(&installed, &mut large, "large");
    installed.upgrade();

    let seen = coded(FlvViewer::open(&installed.server, "small").frames_until(&kept));
    assert!(frames::is_keyframe(
        seen.iter().find(|frame| frame.track == Track::Video).expect("it has video")
    ));

    let flv = FlvViewer::open(&installed.server, "large");
    let rtmp = RtmpPeer::play(&installed.server, "large");
    let mut newcomers = [Newcomer::Flv(flv), Newcomer::Rtmp(Box::new(rtmp))];
    for newcomer in &mut newcomers {
        let first = large.send_audio_until_heard(newcomer);
        assert_eq!(first.track, Track::Audio, "{first:?}");
    }
    let mid_gop = large.send(frames::inter);
    let heard = large.send(frames::audio);
    let keyframe = large.send(frames::keyframe);
    for newcomer in &mut newcomers {
        let seen = coded(frames_until(newcomer, &keyframe));
        let (last, before) = seen.split_last().expect("the keyframe came");
        assert!(frames::is_keyframe(last), "{last:?}");
        assert!(before.iter().all(|frame| frame.track == Track::Audio), "{before:?}");
        assert!(frames::payloads(before).contains(&heard.payload), "audio came before the keyframe");
    }
    // Viewers from before the upgrade miss nothing.
    let seen = frames::payloads(&stayed.frames_until(&keyframe));
    assert!(seen.contains(&mid_gop.payload) && seen.contains(&heard.payload));
    installed.server.assert_unhurt();
}
