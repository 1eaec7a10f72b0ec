//! A node that drains lets each publisher go at the moment from which it is back just before its next keyframe: viewers
//! would wait for a whole GOP more if it were back just after.

use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use synctv_media::stream::frame::{Frame, Track};
use synctv_testkit::{
    balancer::Balancer,
    encoder::{Encoder, EncoderKind, FRAME_INTERVAL},
    flv::FlvViewer,
    frames,
    process::Process,
    redis::Redis,
    server::TestServer,
    tools::{ffmpeg, make_once, run},
};

use crate::{LONG_LEASE, node};

/// A keyframe each 4 s: far more than a busy machine delays what has to happen in between.
const GOP_FRAMES: u32 = 100;

/// Maximum delay of a keyframe, or of the order to drain, on a busy machine.
const LATE_MAX: Duration = Duration::from_millis(1_500);

/// Moves of which one has to lose few frames: the encoder has 150 ms to reconnect before its keyframe, and a busy machine may
/// take longer, but not each time.
const MOVES_MAX: usize = 3;

/// Three nodes, a balancer in front of the first, and a viewer on each.
struct Cluster {
    nodes: [TestServer; 3],
    balancer: Balancer,
    _redis: Redis,
}

/// Watches on a thread of its own, which ends well if its connection lasts.
struct Watcher {
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Cluster {
    fn start() -> Self {
        let redis = Redis::start(&[]);
        let flags = [&LONG_LEASE[..], &["--drain-timeout-s", "600", "--publisher-grace-s", "60"]].concat();
        let nodes = ["n1", "n2", "n3"].map(|id| node(id, &redis.url(), &flags));
        let balancer = Balancer::start(nodes[0].rtmp);
        Self { nodes, balancer, _redis: redis }
    }

    fn watch(&self) -> Vec<Watcher> {
        self.nodes[0].wait_for_publisher("r");
        self.nodes.iter().map(|server| Watcher::start(FlvViewer::open(server, "r"))).collect()
    }

    /// Drains the first node, and waits until its publisher is at the second one.
    fn drain(&self) {
        self.balancer.point_at(self.nodes[1].rtmp);
        self.nodes[0].signal("TERM");
        self.nodes[1].wait_for_publisher("r");
    }
}

impl Watcher {
    fn start(mut viewer: FlvViewer) -> Self {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let stop = is_stopping.clone();
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                next_video(&mut viewer);
            }
        });
        Self { is_stopping, thread }
    }

    fn end(self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        self.thread.join().expect("the viewer's connection lasts");
    }
}

fn next_video(viewer: &mut FlvViewer) -> Frame {
    loop {
        let frame = viewer.next_frame().expect("the connection lasts");
        if frame.track == Track::Video && !frames::is_sequence_header(&frame) {
            return frame;
        }
    }
}

fn rest(time: Duration, of: Duration) -> Duration {
    if time < of { time } else { time - of }
}

fn is_keyframe(frame: &Frame) -> bool {
    frame.payload.first().is_some_and(|first| first >> 4 == 1)
}

/// Waits until the encoder's rhythm is known, and so long after a keyframe that the next one would be missed if the
/// publisher were let go at once.
fn wait_for_the_wrong_moment(server: &TestServer, frames_after: u32) {
    let mut viewer = FlvViewer::open(server, "r");
    for _ in 0..3 {
        while !is_keyframe(&next_video(&mut viewer)) {}
    }
    (0..frames_after).for_each(|_| drop(next_video(&mut viewer)));
}

/// Waits until a viewer has seen the publisher's new node for a while.
fn watch_on(server: &TestServer) {
    let mut viewer = FlvViewer::open(server, "r");
    (0..25).for_each(|_| drop(next_video(&mut viewer)));
}

/// Drains the publisher's node this many frames after a keyframe. The publisher is released this long before a later
/// one. The encoder and the machine decide how long viewers wait then.
fn assert_moves_in_time(cluster: &Cluster, frames_after: u32, before_keyframe: Duration) {
    let watchers = cluster.watch();
    wait_for_the_wrong_moment(&cluster.nodes[0], frames_after);
    cluster.drain();
    watch_on(&cluster.nodes[2]);
    watchers.into_iter().for_each(Watcher::end);
    let moved = cluster.nodes[0].log.find("the move", |line| line.says("publisher is moved", "r"));
    let wait = Duration::from_millis(moved.number("wait_ms"));
    let gop = FRAME_INTERVAL * GOP_FRAMES;
    let until_keyframe = gop - rest(FRAME_INTERVAL * frames_after + before_keyframe, gop);
    assert!(wait.abs_diff(until_keyframe) <= LATE_MAX, "{wait:?} instead of {until_keyframe:?}");
}

#[test]
fn an_encoder_that_waits_before_it_reconnects() {
    let cluster = Cluster::start();
    let _encoder = Encoder::start(EncoderKind::Obs, cluster.balancer.address, "r", GOP_FRAMES);
    assert_moves_in_time(&cluster, 52, Duration::from_millis(2_200));
}

/// It sends on until it looks for what the server sent. The frames that are lost meanwhile are few, and no keyframe is
/// among them: viewers would miss a GOP more.
#[test]
fn an_encoder_that_looks_for_its_end_at_each_tenth_message() {
    let mut lost = (0..MOVES_MAX).map(|_| lost_in_a_move());
    assert!(lost.any(|lost| lost.len() < GOP_FRAMES as usize / 2), "each move missed its keyframe");
}

/// Moves such an encoder, and gives the frames that are lost.
fn lost_in_a_move() -> Range<u32> {
    let cluster = Cluster::start();
    let _encoder = Encoder::start(EncoderKind::Fifo, cluster.balancer.address, "r", GOP_FRAMES);
    cluster.nodes[0].wait_for_publisher("r");
    let mut viewer = FlvViewer::open(&cluster.nodes[2], "r");
    assert_moves_in_time(&cluster, 10, Duration::from_millis(150));
    let lost = lost_frames(&mut viewer);
    assert!(lost.end.is_multiple_of(GOP_FRAMES), "it goes on with a keyframe, not with {lost:?}");
    lost
}

/// Watches until frames are missing, and gives their numbers.
fn lost_frames(viewer: &mut FlvViewer) -> Range<u32> {
    let mut next = number(&next_video(viewer));
    loop {
        let seen = number(&next_video(viewer));
        if seen != next + 1 {
            return next + 1..seen;
        }
        next = seen;
    }
}

fn number(frame: &Frame) -> u32 {
    frames::number(frame).expect("the encoder numbers its frames")
}

#[test]
fn ffmpeg_with_its_fifo_muxer() {
    let cluster = Cluster::start();
    let _ffmpeg = push_with_recovery(&format!("rtmp://{}/live/r", cluster.balancer.address));
    assert_moves_in_time(&cluster, 10, Duration::from_millis(150));
}

/// Publishes for two minutes, with a keyframe each 4 s and without audio.
fn push_with_recovery(url: &str) -> Process {
    let file = make_once("long_gops.flv", |path: &Path| {
        let input = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=120"];
        let output = ["-c:v", "libx264", "-preset", "ultrafast", "-sc_threshold", "0", "-y", "-f", "flv"];
        let gop = GOP_FRAMES.to_string();
        run(ffmpeg().args(input).args(output).args(["-g", &gop, "-pix_fmt", "yuv420p"]).arg(path));
    });
    let mut command = ffmpeg();
    command.args(["-re", "-i"]).arg(file).args(["-map", "0", "-c", "copy", "-f", "fifo"]);
    command.args(["-fifo_format", "flv", "-attempt_recovery", "1", "-recover_any_error", "1", url]);
    Process::start(&mut command)
}
