//! The server as a process of its own, on ports that the system chooses.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
};

use tempfile::TempDir;

use crate::{
    hls::HlsClient,
    log_book::{LogBook, LogLine},
    process::{Process, server_binary},
};

/// Set for a run of the tests, the servers' FLUSH_INTERVAL where a test does not name another.
const FLUSH_VARIABLE: &str = "TEST_FLUSH_INTERVAL";

/// Times for which a peer may be silent: on a busy machine, a test may not get to its peers for longer than the defaults. Tests of a
/// limit set their own.
const SILENCE_LIMITS: [(&str, &str); 3] =
    [("HANDSHAKE_TIMEOUT_S", "60"), ("IDLE_TIMEOUT_S", "60"), ("PUBLISHER_TIMEOUT_S", "60")];

/// Lines of the log that a failing test shows.
const LINES_SHOWN: usize = 60;

/// Returns the program under test, with nothing of the tester's environment.
pub fn program() -> Command {
    program_at(&server_binary())
}

/// The same for another path to the program.
pub fn program_at(path: &Path) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .env("RTMP_ADDR", "127.0.0.1:0")
        .env("HTTPFLV_ADDR", "127.0.0.1:0")
        .env("HLS_ADDR", "127.0.0.1:0")
        // Fewer than a room's peers, so that threads are shared, and more than one, so that they are crossed.
        .env("WORKERS", "2")
        .envs(SILENCE_LIMITS)
        // All have tests of their own.
        .env("HLS", "off")
        .env("RTC_ADDR", "off")
        .env("REDIS_URL", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Ok(flush) = std::env::var(FLUSH_VARIABLE) {
        command.env("FLUSH_INTERVAL", flush);
    }
    command
}

/// Returns the program under test, with HLS, its segments in `storage`. A publisher may be away for a second.
pub fn program_with_hls(storage: &Path) -> Command {
    let mut command = program();
    command.env("HLS", "always").env("HLS_STORAGE", storage).env("PUBLISHER_GRACE_S", "1");
    command
}

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub struct TestServer {
    process: Process,
    /// Address for publishers and RTMP players.
    pub rtmp: SocketAddr,
    /// Address for HTTP-FLV viewers, the API and the pages.
    pub http: SocketAddr,
    /// Its stderr.
    pub log: LogBook,
    metrics: Option<SocketAddr>,
    hls: Option<HlsClient>,
    tls: Option<SocketAddr>,
    hls_tls: Option<SocketAddr>,
    storage: Option<TempDir>,
}

impl TestServer {
    /// Starts it without HLS, with further flags.
    pub fn start(flags: &[&str]) -> Self {
        let mut command = program();
        command.args(flags);
        Self::of(command)
    }

    /// Starts it with HLS, its segments in a directory of its own.
    pub fn with_hls(flags: &[&str]) -> Self {
        let storage = tempfile::tempdir().expect("a directory for segments");
        let mut server = Self::with_hls_storage(storage.path(), flags);
        server.storage = Some(storage);
        server
    }

    /// Starts it with HLS, its segments in `storage`. A publisher may be away for a second.
    pub fn with_hls_storage(storage: &Path, flags: &[&str]) -> Self {
        let mut command = program_with_hls(storage);
        command.args(flags);
        Self::of(command)
    }

    /// Starts the program as it is set up, and waits until it listens.
    pub fn of(mut command: Command) -> Self {
        let mut process = Process::start(&mut command);
        let (log, stdout) = (process.stderr(), process.stdout());
        if stdout.find_text("the addresses", is_last_address).is_none() {
            panic!("the server ended; its log:\n{}", log.lines_to_the_end().join("\n"));
        }
        let addresses = Addresses::parse(&stdout.lines()).expect("the server names its addresses");
        log.find("started", |line| line.text("msg") == "started");
        let Addresses { rtmp, http, hls, metrics, tls, hls_tls, .. } = addresses;
        let hls = hls.map(HlsClient::new);
        Self { process, rtmp, http, log, metrics, hls, tls, hls_tls, storage: None }
    }

    /// Returns the URL at which a publisher or RTMP player of `room` connects.
    pub fn rtmp_url(&self, room: &str) -> String {
        format!("rtmp://{}/live/{room}", self.rtmp)
    }

    /// Returns the URL at which a viewer of `room` asks.
    pub fn flv_url(&self, room: &str) -> String {
        self.url(&format!("/{room}.flv"))
    }

    /// Returns the URL of a path on the web port.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Returns a client of the HLS port.
    pub fn hls(&self) -> HlsClient {
        self.hls.expect("HLS is on")
    }

    /// Returns the address of its metrics.
    pub fn metrics(&self) -> SocketAddr {
        self.metrics.expect("metrics are on")
    }

    /// Returns the address of the TLS port.
    pub fn tls(&self) -> SocketAddr {
        self.tls.expect("TLS is on")
    }

    /// Returns the address of the TLS port for HLS alone.
    pub fn hls_tls(&self) -> SocketAddr {
        self.hls_tls.expect("HLS over TLS is on")
    }

    /// Returns whether it announced an HLS port.
    pub fn has_hls(&self) -> bool {
        self.hls.is_some()
    }

    /// Returns the directory of its segments, if it is the server's own.
    pub fn storage(&self) -> PathBuf {
        self.storage.as_ref().expect("the server has a directory of its own").path().to_owned()
    }

    /// Waits until a publisher of `room` was accepted.
    pub fn wait_for_publisher(&self, room: &str) -> LogLine {
        self.log.find("publisher connected", |line| line.says("publisher connected", room))
    }

    /// Waits until a publisher of `room` left.
    pub fn wait_for_publisher_leaving(&self, room: &str) -> LogLine {
        self.log.find("publisher disconnected", |line| line.says("publisher disconnected", room))
    }

    /// Waits until a viewer of `room` left, over this protocol.
    pub fn wait_for_viewer_leaving(&self, room: &str, protocol: &str) -> LogLine {
        self.log.find("viewer disconnected", |line| {
            line.says("viewer disconnected", room) && line.text("protocol") == protocol
        })
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_exit(mut self) -> ExitStatus {
        self.process.wait_for_exit()
    }

    /// Asserts that it runs and has not panicked.
    pub fn assert_unhurt(&mut self) {
        assert_eq!(self.process.ended(), None, "the server ended: {:?}", self.log.lines());
        let panics = self.log.count(|line| line.text("msg") == "panic");
        assert_eq!(panics, 0, "{:?}", self.log.lines());
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if thread::panicking() {
            self.process.kill();
            let lines = self.log.lines();
            let shown = lines.len().saturating_sub(LINES_SHOWN);
            eprintln!("the end of the server's log:\n{}", lines[shown..].join("\n"));
        }
    }
}

/// The addresses in the lines that a server writes to stdout when it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// For publishers and RTMP players.
    pub rtmp: SocketAddr,
    /// The app that they name.
    pub app: String,
    /// For HTTP-FLV viewers, the API and the pages.
    pub http: SocketAddr,
    /// For HLS viewers, unless HLS is off.
    pub hls: Option<SocketAddr>,
    /// For scrapers, unless metrics are off.
    pub metrics: Option<SocketAddr>,
    /// For all of them over TLS, unless that is off.
    pub tls: Option<SocketAddr>,
    /// For HLS viewers over TLS, unless that is off.
    pub hls_tls: Option<SocketAddr>,
}

impl Addresses {
    /// Parses lines such as `push   rtmp://127.0.0.1:1935/live/ROOM`; `None` if one is missing.
    pub fn parse(lines: &[impl AsRef<str>]) -> Option<Self> {
        let parts = |word: &str| {
            let is_named = |line: &&str| line.split(' ').next() == Some(word);
            let line = lines.iter().map(AsRef::as_ref).find(is_named)?;
            let mut parts = line.split_once("://")?.1.split('/');
            Some((parts.next()?.parse().ok()?, parts.next()?.to_owned()))
        };
        let ((rtmp, app), (http, _)) = (parts("push")?, parts("watch")?);
        let address = |word| parts(word).map(|(address, _)| address);
        let [hls, metrics, tls, hls_tls] = ["hls", "metrics", "tls", "hls-tls"].map(address);
        Some(Self { rtmp, app, http, hls, metrics, tls, hls_tls })
    }
}

/// Returns whether a line is the last of those of [`Addresses`].
pub fn is_last_address(line: &str) -> bool {
    line.starts_with("page")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_hls_and_tls() {
        let lines = [
            "push   rtmp://127.0.0.1:1935/live/ROOM",
            "watch  http://127.0.0.1:8080/ROOM.flv",
            "hls    http://127.0.0.1:8081/live/ROOM/index.m3u8",
            "metrics http://127.0.0.1:9935/metrics",
            "tls    rtmps://127.0.0.1:443/live/ROOM and https://127.0.0.1:443/",
            "hls-tls https://127.0.0.1:8444/live/ROOM/master.m3u8",
            "page   http://127.0.0.1:8080/",
        ];
        let [rtmp, http, hls, metrics, tls, hls_tls] =
            [1935, 8080, 8081, 9935, 443, 8444].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let app = "live".to_owned();
        let expected = Addresses {
            rtmp,
            app,
            http,
            hls: Some(hls),
            metrics: Some(metrics),
            tls: Some(tls),
            hls_tls: Some(hls_tls),
        };
        assert_eq!(Addresses::parse(&lines), Some(expected.clone()));
        let none = Addresses { hls: None, metrics: None, tls: None, hls_tls: None, ..expected };
        assert_eq!(Addresses::parse(&lines[..2]), Some(none));
        assert_eq!(Addresses::parse(&lines[..1]), None);
        assert!(is_last_address(lines[6]) && !is_last_address(lines[1]));
    }
}
