//! Rooms with trouble that operators are to see: each publisher does one thing wrong, in its timestamps or in its pace.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use synctv_media::{samples, stream::frame::Frame};

use crate::{frames, rtmp::RtmpPeer, server::TestServer, wait::now};

/// Frames that each publisher sends a second: fewer than [`Trouble::FewFrames`] announces.
const FRAMES_PER_S: u32 = 19;

/// A keyframe comes with every so many frames, unless the trouble is with keyframes.
const GOP: u32 = 19;

/// A room's trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A keyframe comes every 8.3 s.
    RareKeyframes,
    /// 19 of the 30 frames a second that are announced come.
    FewFrames,
    /// Audio is 900 ms ahead of video.
    Apart,
    /// Two frames of three are shown before one that came earlier, and others depend on them.
    BFrames,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RareKeyframes, Self::FewFrames, Self::Apart, Self::BFrames];

    /// The name of the room that has it.
    pub const fn room(self) -> &'static str {
        match self {
            Self::RareKeyframes => "rare-keyframes",
            Self::FewFrames => "few-frames",
            Self::Apart => "apart",
            Self::BFrames => "b-frames",
        }
    }

    fn headers(self) -> Vec<Frame> {
        match self {
            Self::FewFrames => vec![samples::metadata_with_rate(30.0), samples::video_header()],
            Self::Apart => frames::headers().to_vec(),
            Self::RareKeyframes | Self::BFrames => frames::video_headers().to_vec(),
        }
    }

    fn frames(self, number: u32) -> Vec<Frame> {
        let video = |time_ms: u32, gop: u32| {
            let make = if number.is_multiple_of(gop) { frames::keyframe } else { frames::inter };
            make(time_ms, number)
        };
        let time_ms = number * 1000 / FRAMES_PER_S;
        match self {
            Self::RareKeyframes => vec![video(number * 100, 83)],
            Self::FewFrames => vec![video(time_ms, GOP)],
            Self::Apart => vec![frames::audio(time_ms + 900, number), video(time_ms, GOP)],
            Self::BFrames => vec![frames::shown_later(&video(time_ms, GOP), later_ms(number % GOP))],
        }
    }
}

/// The time from decoding to showing of a GOP's frame: first a keyframe, then three times and again one that is shown behind
/// the next two.
fn later_ms(frame: u32) -> u32 {
    let intervals = match frame {
        0 => 1,
        _ if frame % 3 == 1 => 3,
        _ => 0,
    };
    intervals * 1000 / FRAMES_PER_S
}

/// Publishers of all rooms with trouble, until this is dropped.
#[derive(Debug)]
pub struct TroubledRooms {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TroubledRooms {
    /// Begins to publish them.
    pub fn start(server: &TestServer) -> Self {
        let mut publishers = Trouble::ALL.map(|trouble| (trouble, RtmpPeer::publish(server, trouble.room())));
        for (trouble, publisher) in &mut publishers {
            publisher.send_all(&trouble.headers());
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let thread = thread::spawn(move || {
            let start = now();
            for number in 0.. {
                pause((Duration::from_secs(1) * number / FRAMES_PER_S).saturating_sub(start.elapsed()));
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                for (trouble, publisher) in &mut publishers {
                    publisher.send_all(&trouble.frames(number));
                }
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for TroubledRooms {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A publisher that could not send has said so.
            let _ = thread.join();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "publishers follow the clock")]
fn pause(duration: Duration) {
    thread::sleep(duration);
}
