//! A server, publishers and an HLS client, for these tests.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use synctv_media::{
    flv::reader::FlvReader,
    hls::ts::check::{CheckedSegment, TsChecker},
    rtmp::client::{Client, ClientEvent},
    stream::frame::Frame,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// For whatever must happen: generous, as it is only waited for when something is broken.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A running server. It is stopped when dropped.
pub struct Server {
    child: Child,
    pub rtmp: String,
    pub hls: String,
    pub storage: PathBuf,
    log: PathBuf,
    _directory: TempDir,
}

impl Server {
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = directory.path().join("hls");
        Self::start_in(directory, &storage, settings)
    }

    /// `directory` lives as long as the server.
    pub fn start_in(directory: TempDir, storage: &Path, settings: &[(&str, &str)]) -> Self {
        let log = directory.path().join("log");
        let mut child = program(storage)
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |word: &str| {
            let line = lines.next().unwrap().unwrap();
            let url = line.strip_prefix(word).unwrap().trim();
            url.split('/').nth(2).unwrap().to_owned()
        };
        let (rtmp, _flv, hls) = (address("push"), address("watch"), address("hls"));
        Self { child, rtmp, hls, storage: storage.to_owned(), log, _directory: directory }
    }

    /// Starts one that ends by itself, and returns its exit code and what it wrote to stderr.
    pub fn fail_to_start(storage: &Path) -> (Option<i32>, String) {
        let output = program(storage).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// Lines of the log that contain `text`.
    pub fn log_lines(&self, text: &str) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.lines().filter(|line| line.contains(text)).count()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[])
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        request(&self.hls, method, path, headers)
    }

    /// The room's playlist, once it is as it should be.
    pub fn playlist_when(&self, room: &str, is_right: impl Fn(&Playlist) -> bool) -> Playlist {
        until("the playlist", || {
            let answer = self.get(&format!("/live/{room}/index.m3u8"));
            let playlist = (answer.status == 200).then(|| Playlist::parse(&answer.text()))?;
            is_right(&playlist).then_some(playlist)
        })
    }

    /// Everything that was pushed, when the stream has ended.
    pub fn whole_stream(&self, room: &str) -> Stream {
        let playlist = self.playlist_when(room, |playlist| playlist.ended);
        self.stream(room, playlist)
    }

    /// The segments of a playlist, each checked.
    pub fn stream(&self, room: &str, playlist: Playlist) -> Stream {
        let mut checker = TsChecker::new();
        let segments = playlist.segments.iter().map(|entry| {
            let answer = self.get(&format!("/live/{room}/{}", entry.uri));
            assert_eq!(answer.status, 200, "{}", entry.uri);
            if entry.discontinuity {
                checker = TsChecker::new();
            }
            checker.segment(&answer.body).unwrap()
        });
        Stream { segments: segments.collect(), playlist }
    }

    /// A publisher that is accepted.
    pub fn publisher(&self, room: &str) -> Publisher {
        Publisher::connect(&self.rtmp, room)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(storage: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_synctv-stream"));
    program
        .env("RTMP_ADDR", "127.0.0.1:0")
        .env("HTTPFLV_ADDR", "127.0.0.1:0")
        .env("HLS_ADDR", "127.0.0.1:0")
        .env("HLS_STORAGE", storage)
        .env("PUBLISHER_GRACE_S", "1")
        .env("REDIS_URL", "off");
    program
}

/// What the HLS port at `address` answers.
pub fn request(address: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut socket = TcpStream::connect(address).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    Answer::parse(&bytes)
}

/// An answer over HTTP.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        });
        Self { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() }
    }

    /// Without the only header that tells when it was given.
    pub fn without_date(mut self) -> Self {
        self.headers.remove("date");
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// A playlist, as a player reads it.
#[derive(Debug, Default, Clone)]
pub struct Playlist {
    pub target_s: u64,
    pub sequence: u64,
    pub discontinuity_sequence: u64,
    pub ended: bool,
    pub segments: Vec<Entry>,
}

#[derive(Debug, Default, Clone)]
pub struct Entry {
    pub uri: String,
    pub duration_ms: u64,
    pub discontinuity: bool,
}

impl Playlist {
    pub fn parse(text: &str) -> Self {
        let mut playlist = Self::default();
        let mut entry = Entry::default();
        for line in text.lines() {
            match line.split_once(':').unwrap_or((line, "")) {
                ("#EXT-X-TARGETDURATION", value) => playlist.target_s = value.parse().unwrap(),
                ("#EXT-X-MEDIA-SEQUENCE", value) => playlist.sequence = value.parse().unwrap(),
                ("#EXT-X-DISCONTINUITY-SEQUENCE", value) => {
                    playlist.discontinuity_sequence = value.parse().unwrap();
                }
                ("#EXT-X-DISCONTINUITY", _) => entry.discontinuity = true,
                ("#EXTINF", value) => {
                    entry.duration_ms = value.replace(['.', ','], "").parse().unwrap();
                }
                ("#EXT-X-ENDLIST", _) => playlist.ended = true,
                _ if line.starts_with('#') => {}
                _ => {
                    entry.uri = line.to_owned();
                    playlist.segments.push(std::mem::take(&mut entry));
                }
            }
        }
        playlist
    }

    pub fn discontinuities(&self) -> usize {
        self.segments.iter().filter(|entry| entry.discontinuity).count()
    }
}

/// A playlist and its segments.
pub struct Stream {
    pub playlist: Playlist,
    pub segments: Vec<CheckedSegment>,
}

/// An RTMP publisher that sends what it is told to.
pub struct Publisher {
    client: Client,
    socket: TcpStream,
}

impl Publisher {
    fn connect(address: &str, room: &str) -> Self {
        let mut publisher =
            Self { client: Client::publisher("live", room), socket: TcpStream::connect(address).unwrap() };
        let mut buffer = [0; 4096];
        loop {
            publisher.flush();
            let size_bytes = publisher.socket.read(&mut buffer).unwrap();
            assert!(size_bytes > 0, "the server closed the connection");
            publisher.client.feed(&buffer[..size_bytes]).unwrap();
            while let Some(event) = publisher.client.poll_event() {
                if event == ClientEvent::Ready {
                    return publisher;
                }
            }
        }
    }

    pub fn send(&mut self, frames: &[Frame]) {
        frames.iter().for_each(|frame| self.client.send_frame(frame));
        self.flush();
    }

    pub fn unpublish(mut self) {
        self.client.delete_stream();
        self.flush();
        // The server may close first.
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
        let _ = self.socket.read_to_end(&mut Vec::new());
    }

    fn flush(&mut self) {
        let output = self.client.take_output();
        self.socket.write_all(&output).unwrap();
    }
}

/// An FLV file that ffmpeg encodes, at 25 pictures a second.
pub struct Source {
    pub path: PathBuf,
    ffmpeg: PathBuf,
    _directory: TempDir,
}

impl Source {
    /// `video` and `audio` are encoder options; an empty one leaves the track out.
    pub fn encode(duration_s: u32, video: &str, audio: &str) -> Self {
        Self::encode_by("ffmpeg".as_ref(), duration_s, video, audio)
    }

    /// The same by another ffmpeg, which pushes it as well.
    pub fn encode_by(ffmpeg: &Path, duration_s: u32, video: &str, audio: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("source.flv");
        let mut command = Command::new(ffmpeg);
        command.args(["-v", "error"]);
        let duration = duration_s.to_string();
        if !video.is_empty() {
            command.args(["-f", "lavfi", "-t", &duration, "-i", "testsrc2=s=320x180:r=25"]);
        }
        if !audio.is_empty() {
            command.args(["-f", "lavfi", "-t", &duration, "-i", "sine=440"]);
        }
        command.args(video.split_whitespace().chain(audio.split_whitespace()));
        assert!(command.arg(&path).status().unwrap().success());
        Self { path, ffmpeg: ffmpeg.to_owned(), _directory: directory }
    }

    /// Pushes the file, as fast as the server takes it, and leaves.
    pub fn push(&self, server: &Server, room: &str) {
        self.push_with(&[], server, room);
    }

    /// Pushes the file as a camera would, and leaves.
    pub fn push_in_real_time(&self, server: &Server, room: &str) {
        self.push_with(&["-re"], server, room);
    }

    fn push_with(&self, options: &[&str], server: &Server, room: &str) {
        let url = format!("rtmp://{}/live/{room}", server.rtmp);
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-v", "error"]).args(options).arg("-i").arg(&self.path);
        command.args(["-c", "copy", "-f", "flv", &url]);
        assert!(command.status().unwrap().success());
    }

    /// What the file holds.
    pub fn frames(&self) -> Vec<Frame> {
        let mut reader = FlvReader::new(1 << 24);
        reader.feed(&std::fs::read(&self.path).unwrap());
        std::iter::from_fn(|| reader.next_frame().unwrap()).collect()
    }
}

/// What ffprobe says of a playlist: one line a stream, such as `h264,320`.
pub fn probe(server: &Server, room: &str, entries: &str) -> Vec<String> {
    let url = format!("http://{}/live/{room}/index.m3u8", server.hls);
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "csv=p=0", "-show_entries", &format!("stream={entries}"), &url]);
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(since.elapsed() < DEADLINE, "{what} did not come");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
