//! Media that a test has encoded for itself, and what ffprobe makes of it over HLS.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use synctv_media::stream::frame::Frame;
use tempfile::TempDir;

use super::{ffmpeg, new_ffmpeg, run};
use crate::{flv, hls::HlsClient};

/// An FLV file that FFmpeg encoded, at 25 frames a second.
#[derive(Debug)]
pub struct Encoded {
    /// The file.
    pub path: PathBuf,
    ffmpeg: fn() -> Command,
    _directory: TempDir,
}

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
        let directory = tempfile::tempdir().expect("a directory for the file");
        let path = directory.path().join("source.flv");
        let duration = duration_s.to_string();
        let mut command = ffmpeg();
        if !video.is_empty() {
            command.args(["-f", "lavfi", "-t", &duration, "-i", "testsrc2=s=320x180:r=25"]);
        }
        if !audio.is_empty() {
            command.args(["-f", "lavfi", "-t", &duration, "-i", "sine=440"]);
        }
        run(command.args(video.split_whitespace().chain(audio.split_whitespace())).arg(&path));
        Self { path, ffmpeg, _directory: directory }
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
        flv::read_file(Path::new(&self.path))
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
