//! Test media whose tracks pause, come late or cannot be decoded, each made once for a test run.

use std::{path::PathBuf, process::Command};

use synctv_testkit::{
    process::Process,
    server::TestServer,
    tools::{ffmpeg, make_once, new_ffmpeg, run},
};

/// Streams of twelve seconds: H.264 of 320 x 180 at 25 frames and one keyframe a second, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clip {
    /// AAC throughout; video for four seconds, and again from the tenth on.
    VideoPauses,
    /// AAC from the start, video from the ninth second on.
    VideoComesLate,
    /// Audio in G.711, as cameras send it.
    ALaw,
    /// A second audio track, as OBS sends it in multitrack packets of Enhanced RTMP.
    TwoAudioTracks,
}

impl Clip {
    /// Publishes it again and again, each track's packets as soon as they are due, until the value is dropped.
    pub fn push(self, server: &TestServer, room: &str) -> Process {
        let mut program = self.program();
        program.args(["-re", "-stream_loop", "-1", "-i"]).arg(self.file());
        // Otherwise a track waits until the other one has something as well.
        program.args(["-map", "0", "-c", "copy", "-max_interleave_delta", "1000", "-f", "flv"]);
        let pushed = Process::start(program.arg(server.rtmp_url(room)));
        server.wait_for_publisher(room);
        pushed
    }

    fn file(self) -> PathBuf {
        make_once(&format!("{self:?}.flv"), |path| {
            let mut program = self.program();
            program.args(["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"]);
            program.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]);
            program.args(["-t", "12", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"]);
            program.args(["-pix_fmt", "yuv420p", "-force_key_frames", "expr:gte(t,n_forced)"]);
            program.args(self.arguments()).args(["-y", "-f", "flv"]).arg(path);
            run(&mut program);
        })
    }

    fn program(self) -> Command {
        if self == Clip::TwoAudioTracks { new_ffmpeg() } else { ffmpeg() }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Clip::VideoPauses => &["-vf", "select='lt(t,4)+gte(t,10)'", "-vsync", "vfr", "-c:a", "aac"],
            Clip::VideoComesLate => &["-vf", "select='gte(t,8)'", "-vsync", "vfr", "-c:a", "aac"],
            Clip::ALaw => &["-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"],
            Clip::TwoAudioTracks => &["-map", "0:v", "-map", "1:a", "-map", "1:a", "-c:a", "aac"],
        }
    }
}
