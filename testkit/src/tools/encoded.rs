//! Media that a test has encoded for itself, and what ffprobe makes of it over HLS.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use synctv_media::stream::frame::Frame;

use super::{ffmpeg, make_once, new_ffmpeg, run};
use crate::{flv, hls::HlsClient};

/// An FLV file that FFmpeg encoded, at 25 frames a second. Tests that encode alike share it.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The file.
    pub path: PathBuf,
    ffmpeg: fn() -> Command,
}

/// The files of this process, by the encoder and its arguments.
static FILES: Mutex<BTreeMap<Vec<String>, PathBuf>> = Mutex::new(BTreeMap::new());

impl Encoded {
    /// Encodes a test pattern. `video` and `audio` are encoder options; an empty one leaves the track out.
    pub fn new(duration_s: u32, video: &str, audio: &str) -> Self {
        Self::by(ffmpeg, duration_s, video, audio)
    }

    /// Like [`new`](Self::new), by the FFmpeg that speaks Enhanced RTMP, which pushes it as well.
    pub fn enhanced(duration_s: u32, video: &str, audio: &str) -> Self {
        Self::by(new_ffmpeg, duration_s, video, audio)
    }

    fn by(ffmpeg: fn() -> Command, duration_s: u32, video: &str, audio: &str) -> Self {
        let duration = duration_s.to_string();
        let mut arguments = Vec::new();
        for (codec, source) in [(video, "testsrc2=s=320x180:r=25"), (audio, "sine=440")] {
            if !codec.is_empty() {
                arguments.extend(["-f", "lavfi", "-t", &duration, "-i", source]);
            }
        }
        arguments.extend(video.split_whitespace().chain(audio.split_whitespace()));
        let program = ffmpeg().get_program().to_string_lossy().into_owned();
        let key: Vec<_> =
            std::iter::once(program).chain(arguments.iter().map(|it| (*it).to_owned())).collect();
        // One at a time: encoders use all cores.
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("encoded-{}.flv", files.len());
        let encode = |path: &Path| {
            run(ffmpeg().args(&arguments).args(["-y", "-f", "flv"]).arg(path));
        };
        let path = files.entry(key).or_insert_with(|| make_once(&name, encode)).clone();
        Self { path, ffmpeg }
    }

    /// Pushes the file to an RTMP URL, as fast as the server takes it, and leaves.
    pub fn push(&self, url: &str) {
        self.push_with(&[], url);
    }

    /// Pushes the file to an RTMP URL as a camera would, and leaves.
    pub fn push_in_real_time(&self, url: &str) {
        self.push_with(&["-re"], url);
    }

    fn push_with(&self, options: &[&str], url: &str) {
        let mut command = (self.ffmpeg)();
        run(command.args(options).arg("-i").arg(&self.path).args(["-c", "copy", "-f", "flv", url]));
    }

    /// Returns the frames of the file.
    pub fn frames(&self) -> Vec<Frame> {
        flv::read_file(&self.path)
    }
}

/// Returns what ffprobe finds at a room's playlist: one line a stream, such as `h264,320`.
pub fn probe_hls(hls: &HlsClient, room: &str, entries: &str) -> Vec<String> {
    let mut command = Command::new("ffprobe");
    let entries = format!("stream={entries}");
    command.args(["-v", "error", "-of", "csv=p=0", "-show_entries", &entries, &hls.url(room)]);
    let output = run(&mut command);
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("ffprobe writes text");
    let mut lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect();
    lines.sort();
    lines.dedup();
    lines
}
