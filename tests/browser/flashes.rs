//! A stream whose seconds begin with a white frame and a beep, and the page's look at when each is presented.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, UNIX_EPOCH},
};

use synctv_media::stream::frame::{Frame, Track};
use synctv_testkit::{
    flv::read_file,
    frames::is_coded,
    rtmp::{Client, RtmpPeer},
    socket::dial,
    tools::{ffmpeg, make_once, run},
    wait::now,
};

const FRAMES_PER_S: usize = 30;

/// The clip's length, after which it begins again.
const LENGTH_S: u32 = 30;

/// Begins to note the wall-clock times, in milliseconds, at which the page presents flashes and beeps. `apartMs` is by how much
/// the last five beeps are behind their flashes, in the middle.
pub const NOTE_MOMENTS: &str = "
  const flashes = globalThis.flashes = [], beeps = globalThis.beeps = [];
  const video = document.querySelector('video');
  const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  let wasWhite = true;
  const look = (_, frame) => {
    pixel.drawImage(video, 0, 0, 1, 1);
    const isWhite = pixel.getImageData(0, 0, 1, 1).data[0] > 128;
    if (isWhite && !wasWhite) flashes.push(performance.timeOrigin + frame.expectedDisplayTime);
    wasWhite = isWhite;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  context.createMediaStreamSource(video.srcObject).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let wasLoud = true;
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const first = samples.findIndex((sample) => Math.abs(sample) > 0.05);
    const agoMs = (samples.length - first) / context.sampleRate * 1000;
    if (first >= 0 && !wasLoud) beeps.push(performance.timeOrigin + performance.now() - agoMs);
    wasLoud = first >= 0;
  }, 4);
  const middle = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  globalThis.apartMs = () => {
    if (flashes.length < 6 || beeps.length < 6) return undefined;
    const nearest = (at) => beeps.reduce((a, b) => Math.abs(a - at) < Math.abs(b - at) ? a : b);
    return middle(flashes.slice(-6, -1).map((at) => nearest(at) - at));
  };";

/// A publisher of the clip; it stops when this is dropped.
pub struct FlashPublisher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    has_ended: AtomicBool,
    /// The time at which a flash's first frame was sent, in milliseconds since 1970.
    sent_ms: Mutex<Vec<f64>>,
}

impl FlashPublisher {
    /// Publishes with AAC of this rate and number of channels, and waits until the server accepts it.
    pub fn start(rtmp: SocketAddr, room: &str, rate_hz: u32, channel_count: u8) -> Self {
        let frames = read_file(&clip(rate_hz, channel_count));
        let mut peer =
            RtmpPeer::start(dial(rtmp), Client::publisher("live", room)).expect("the publish is accepted");
        let shared = Arc::new(Shared::default());
        let on_thread = shared.clone();
        let thread = thread::spawn(move || publish(&mut peer, &frames, &on_thread));
        Self { shared, thread: Some(thread) }
    }

    /// Returns how long after its send each flash was presented, in milliseconds. It has to be less than a second.
    pub fn delays_ms(&self, presented_ms: &[f64]) -> Vec<f64> {
        let sent_ms = self.shared.sent_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let delay = |at: &f64| Some(at - sent_ms.iter().rev().find(|sent| *sent <= at)?);
        presented_ms.iter().filter_map(delay).collect()
    }
}

impl Drop for FlashPublisher {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// H.264 of High profile at 30 frames a second, with a keyframe every two.
fn clip(rate_hz: u32, channel_count: u8) -> PathBuf {
    make_once(&format!("flashes-{rate_hz}.flv"), |path| {
        let video = format!("color=black:size=320x180:rate={FRAMES_PER_S}:duration={LENGTH_S}");
        let flash = "drawbox=color=white:thickness=fill:enable='lt(mod(t,1),0.1)'";
        let layout = if channel_count == 1 { "mono" } else { "stereo" };
        let beep = format!(
            "aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.1)':sample_rate={rate_hz}:duration={LENGTH_S}"
        );
        let mut program = ffmpeg();
        program.args(["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &beep, "-vf", flash]);
        program.args(["-af", &format!("aformat=channel_layouts={layout}"), "-c:a", "aac"]);
        program.args([
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-tune",
            "zerolatency",
            "-profile:v",
            "high",
        ]);
        run(program.args(["-pix_fmt", "yuv420p", "-g", "60", "-y", "-f", "flv"]).arg(path));
    })
}

fn publish(peer: &mut RtmpPeer, frames: &[Frame], shared: &Shared) {
    let (begin, mut video_count) = (now(), 0);
    for round in 0.. {
        for frame in frames.iter().filter(|frame| round == 0 || is_coded(frame)) {
            let timestamp_ms = frame.timestamp_ms + round * LENGTH_S * 1000;
            let due = begin + Duration::from_millis(timestamp_ms.into());
            // Messages that the server sends meanwhile are answered.
            while let Some(wait) = due.checked_duration_since(now()).filter(|wait| !wait.is_zero()) {
                peer.next(wait);
            }
            if shared.has_ended.load(Ordering::SeqCst) {
                return;
            }
            peer.send(&Frame { timestamp_ms, ..frame.clone() });
            if frame.track == Track::Video && is_coded(frame) {
                if video_count % FRAMES_PER_S == 0 {
                    let sent_ms = UNIX_EPOCH.elapsed().expect("it is after 1970").as_secs_f64() * 1000.0;
                    shared.sent_ms.lock().unwrap_or_else(PoisonError::into_inner).push(sent_ms);
                }
                video_count += 1;
            }
        }
    }
}
