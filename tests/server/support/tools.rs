//! Programs from outside. A test that needs one fails without it, and says how to get it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};

#[path = "../../support/new_ffmpeg.rs"]
mod new_ffmpeg;

/// FFmpeg, quiet and without a terminal.
pub fn ffmpeg() -> Command {
    quiet("ffmpeg")
}

/// The FFmpeg of the Python package imageio-ffmpeg, which speaks Enhanced RTMP.
pub fn new_ffmpeg() -> Command {
    quiet(new_ffmpeg::path())
}

fn quiet(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]).stdin(Stdio::null());
    command
}

/// FFprobe on `input`, as JSON of its streams.
pub fn ffprobe(input: &str) -> serde_json::Value {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "json", "-show_streams", input]);
    let output = run(&mut command);
    serde_json::from_slice(&output.stdout).expect("ffprobe writes JSON")
}

/// Runs a tool to its end, which has to be a good one.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| missing(command, &error));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A tool that runs beside the test, and is killed with it.
#[derive(Debug)]
pub struct Running(Child);

/// Starts a tool.
pub fn start(command: &mut Command) -> Running {
    Running(command.spawn().unwrap_or_else(|error| missing(command, &error)))
}

impl Running {
    /// Waits for its end, which has to be a good one.
    pub fn wait(mut self) {
        let status = self.0.wait().expect("the tool can be waited for");
        assert!(status.success(), "the tool ended with {status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn missing(command: &Command, error: &std::io::Error) -> ! {
    panic!(
        "{} cannot be run ({error}): `make test` installs it, and so does `apt-get install ffmpeg`",
        command.get_program().display()
    );
}

/// What a file of test media has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    AudioVideo,
    AudioOnly,
    VideoOnly,
}

const VIDEO_IN: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=5"];
const AUDIO_IN: [&str; 4] = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=5"];
const VIDEO_OUT: [&str; 10] =
    ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "25", "-bf", "2"];
const AUDIO_OUT: [&str; 4] = ["-c:a", "aac", "-b:a", "64k"];

/// A file of five seconds: H.264 with B-frames and a keyframe each second, AAC. Made once for each test run.
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
        let path = scratch(&format!("{name}.flv"));
        run(ffmpeg().args(inputs).args(codecs).args(["-y", "-f", "flv"]).arg(&path));
        path
    })
}

/// Five seconds of HEVC and Opus in FLV, which only Enhanced RTMP can carry. Made once for each test run.
pub fn enhanced_media_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = scratch("enhanced.flv");
        let codecs =
            ["-c:v", "libx265", "-preset", "ultrafast", "-g", "25", "-x265-params", "log-level=error"];
        let audio = ["-ar", "48000", "-c:a", "libopus", "-y", "-f", "flv"];
        run(new_ffmpeg().args(VIDEO_IN).args(AUDIO_IN).args(codecs).args(audio).arg(&path));
        path
    })
}

/// Publishes a file as fast as it would play, without touching what is in it.
pub fn push(mut program: Command, file: &Path, url: &str) -> Running {
    start(program.args(["-re", "-i"]).arg(file).args(["-c", "copy", "-f", "flv", url]))
}

/// Like [`push`], from the beginning again and again.
pub fn push_on_and_on(mut program: Command, file: &Path, url: &str) -> Running {
    program.args(["-stream_loop", "-1"]);
    push(program, file, url)
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
