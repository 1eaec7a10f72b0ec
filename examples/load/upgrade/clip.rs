//! Rooms in which FFmpeg repeats a clip, and viewers who compare every frame with the clip.

use std::{net::SocketAddr, path::Path, rc::Rc};

use bytes::Bytes;
use synctv_media::{
    flv::reader::FlvReader,
    stream::frame::{Frame, Track},
};
use synctv_testkit::{
    flv, frames,
    http::receive_head,
    process::Process,
    tools::{self, CLIP},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::viewer::Watch;
use crate::hls::faults::Faults;

const KIND: &str = "viewers of FFmpeg's rooms";

/// The longest step between two frames of a track, which is from the clip's end to its beginning.
const STEP_MAX_MS: u32 = 100;

const FRAME_LIMIT_BYTES: usize = 1 << 24;

/// The clip's frames, of video and of audio.
#[derive(Debug)]
pub struct Clip([Vec<Bytes>; 2]);

impl Clip {
    /// Reads the clip's file.
    pub fn read() -> Rc<Self> {
        let all = flv::read_file(Path::new(CLIP));
        let of = |track| flv::coded(&all, track).into_iter().map(|frame| frame.payload).collect();
        Rc::new(Self([of(Track::Video), of(Track::Audio)]))
    }
}

/// Starts to publish a room with FFmpeg. `None` if that is not installed.
pub fn push(server: SocketAddr, room: &str) -> Option<Process> {
    let url = format!("rtmp://{server}/live/{room}");
    let is_installed = std::process::Command::new("ffmpeg").arg("-version").output().is_ok();
    is_installed.then(|| tools::push_on_and_on(tools::ffmpeg(), Path::new(CLIP), &url))
}

/// The place in the clip of one viewer.
struct ClipOrder {
    clip: Rc<Clip>,
    /// Of video and of audio.
    tracks: [TrackOrder; 2],
    frames: u64,
    faults: Faults,
    watch: Watch,
}

/// The places in the clip that the last frame of a track may have: some packets of audio are the same. None before the
/// first one, and one after a moment.
#[derive(Default)]
struct TrackOrder {
    places: Vec<usize>,
    last_ms: Option<u32>,
}

impl ClipOrder {
    fn take(&mut self, frame: &Frame) {
        let track = usize::from(frame.track == Track::Audio);
        let (clip, order) = (&self.clip.0[track], &mut self.tracks[track]);
        if order.places.is_empty() {
            order.places = (0..clip.len()).collect();
        } else {
            order.places.iter_mut().for_each(|place| *place = (*place + 1) % clip.len());
        }
        order.places.retain(|place| clip[*place] == frame.payload);
        if order.places.is_empty() {
            self.faults.add(format!("{:?}: a frame that does not follow", frame.track));
        }
        let step_ms =
            order.last_ms.replace(frame.timestamp_ms).map(|last_ms| frame.timestamp_ms.wrapping_sub(last_ms));
        if step_ms.is_some_and(|step_ms| step_ms == 0 || step_ms > STEP_MAX_MS) {
            self.faults.add(format!("{:?}: a step in time", frame.track));
        }
        self.frames += 1;
    }
}

impl Drop for ClipOrder {
    fn drop(&mut self) {
        self.watch.findings.add(KIND, self.frames, std::mem::take(&mut self.faults));
    }
}

/// Watches a room of FFmpeg's until it is aborted.
pub async fn watch(server: SocketAddr, room: String, clip: Rc<Clip>, watch: Watch) {
    let faults = Faults::default();
    let tracks = Default::default();
    let mut order = ClipOrder { clip, tracks, frames: 0, faults, watch: watch.clone() };
    if let Err(error) = receive(server, &room, &mut order).await {
        watch.findings.fault(format!("{KIND}: disconnected: {error}"));
    }
}

async fn receive(
    server: SocketAddr,
    room: &str,
    order: &mut ClipOrder,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut socket = TcpStream::connect(server).await?;
    socket.write_all(format!("GET /{room}.flv HTTP/1.0\r\nHost: load\r\n\r\n").as_bytes()).await?;
    let head = receive_head(&mut socket).await?;
    let mut reader = FlvReader::new(FRAME_LIMIT_BYTES);
    reader.feed(&head.body);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        while let Some(frame) = reader.next_frame()? {
            if frames::is_coded(&frame) {
                order.take(&frame);
            }
        }
        match socket.read(&mut buffer).await? {
            0 => return Err("the server closed the connection".into()),
            size => reader.feed(&buffer[..size]),
        }
    }
}
