//! FFmpeg and ffprobe, and the media that they make. A test that needs a program fails without it, and names how to get
//! it.

mod encoded;
mod new_ffmpeg;
mod python;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

pub use self::{
    encoded::{Encoded, probe_hls},
    python::python_with,
};
use crate::{
    process::{Process, scratch_directory},
    server::TestServer,
};

/// The clip of `examples/demo`: H.264 of 640 x 360 at 30 frames and a keyframe a second, and AAC.
pub const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/demo/clip.flv");

/// FFmpeg, quiet and without a terminal.
pub fn ffmpeg() -> Command {
    quiet("ffmpeg")
}

/// The FFmpeg of the Python package imageio-ffmpeg, which speaks Enhanced RTMP.
pub fn new_ffmpeg() -> Command {
    quiet(new_ffmpeg::path())
}

fn quiet(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]).stdin(Stdio::null());
    command
}

/// Returns what ffprobe finds in `input`, as JSON of its streams.
pub fn ffprobe(input: &str) -> serde_json::Value {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "json", "-show_streams", input]);
    serde_json::from_slice(&run(&mut command).stdout).expect("ffprobe writes JSON")
}

/// Runs a tool to its end, which has to be a good one.
pub fn run(command: &mut Command) -> Output {
    let program = command.get_program().display().to_string();
    let output = command.output().unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}); `make test` installs what the tests need")
    });
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    output
}

/// The tracks of a file of test media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// Both.
    AudioVideo,
    /// No video.
    AudioOnly,
    /// No audio.
    VideoOnly,
}

const VIDEO_IN: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=5"];
const AUDIO_IN: [&str; 4] = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=5"];
const VIDEO_OUT: [&str; 10] =
    ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "25", "-bf", "2"];
const AUDIO_OUT: [&str; 4] = ["-c:a", "aac", "-b:a", "64k"];

/// Returns a file of five seconds: H.264 with B-frames and a keyframe each second, AAC.
pub fn media_file(media: Media) -> &'static Path {
    static FILES: [OnceLock<PathBuf>; 3] = [const { OnceLock::new() }; 3];
    let (slot, name, inputs, codecs): (_, _, Vec<&str>, Vec<&str>) = match media {
        Media::AudioVideo => {
            (0, "av", [VIDEO_IN, AUDIO_IN].concat(), [VIDEO_OUT.as_slice(), &AUDIO_OUT].concat())
        }
        Media::AudioOnly => (1, "a", AUDIO_IN.to_vec(), AUDIO_OUT.to_vec()),
        Media::VideoOnly => (2, "v", VIDEO_IN.to_vec(), VIDEO_OUT.to_vec()),
    };
    FILES[slot].get_or_init(|| {
        make_once(&format!("{name}.flv"), |path| {
            run(ffmpeg().args(inputs).args(codecs).args(["-y", "-f", "flv"]).arg(path));
        })
    })
}

/// Returns a file of five seconds of HEVC and Opus in FLV, which only Enhanced RTMP can carry.
pub fn enhanced_media_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let codecs =
            ["-c:v", "libx265", "-preset", "ultrafast", "-g", "25", "-x265-params", "log-level=error"];
        let audio = ["-ar", "48000", "-c:a", "libopus", "-y", "-f", "flv"];
        make_once("enhanced.flv", |path| {
            run(new_ffmpeg().args(VIDEO_IN).args(AUDIO_IN).args(codecs).args(audio).arg(path));
        })
    })
}

/// Publishes a file as fast as it would play, without touching what is in it.
pub fn push(mut program: Command, file: &Path, url: &str) -> Process {
    Process::start(program.args(["-re", "-i"]).arg(file).args(["-c", "copy", "-f", "flv", url]))
}

/// Like [`push`], from the beginning again and again.
pub fn push_on_and_on(mut program: Command, file: &Path, url: &str) -> Process {
    program.args(["-stream_loop", "-1"]);
    push(program, file, url)
}

/// Publishes [`CLIP`] again and again until the value is dropped; returns when the server has accepted it.
pub fn push_clip(server: &TestServer, room: &str) -> Process {
    let pushed = push_on_and_on(ffmpeg(), Path::new(CLIP), &server.rtmp_url(room));
    server.wait_for_publisher(room);
    pushed
}

/// Returns a file that is made once for each run of the tests. Two runs at the same time do not see each other's half-written
/// files.
pub fn make_once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    static MADE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // One at a time: encoders use all cores.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = scratch_directory("media");
    let path = directory.join(name);
    if !made.contains(name) {
        let unfinished = directory.join(format!("{}-{name}", std::process::id()));
        make(&unfinished);
        std::fs::rename(&unfinished, &path).expect("a finished file is renamed");
        made.insert(name.to_owned());
    }
    path
}
