//! A server of one's own, on ports that nobody else uses.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{
    PATIENCE,
    log_book::{LogBook, LogLine},
};

/// Set for a run of the tests, the servers' FLUSH_INTERVAL where a test does not say another.
const FLUSH_VARIABLE: &str = "TEST_FLUSH_INTERVAL";

/// How much of the log a failing test shows.
const LINES_SHOWN: usize = 60;

/// The program under test, with an environment that has nothing of the tester's settings.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synctv-stream"));
    command
        .env_clear()
        .env("RTMP_ADDR", "127.0.0.1:0")
        .env("HTTPFLV_ADDR", "127.0.0.1:0")
        // Fewer than a room's peers, so that threads are shared, and more than one, so that they are crossed.
        .env("WORKERS", "2")
        // Both have tests of their own.
        .env("HLS", "off")
        .env("REDIS_URL", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Ok(flush) = std::env::var(FLUSH_VARIABLE) {
        command.env("FLUSH_INTERVAL", flush);
    }
    command
}

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where to push.
    pub rtmp: SocketAddr,
    /// Where to watch.
    pub http: SocketAddr,
    /// What it wrote to stderr.
    pub log: LogBook,
}

impl Server {
    /// Starts it and waits until it says where it listens.
    pub fn start(flags: &[&str]) -> Self {
        let mut command = program();
        command.args(flags);
        Self::of(command)
    }

    /// Starts the program as it is set up.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the server starts");
        let log = LogBook::of(child.stderr.take().expect("stderr is piped"));
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let push = lines.find(|line| line.starts_with("push"));
        let watch = lines.find(|line| line.starts_with("watch"));
        let (Some(push), Some(watch)) = (push, watch) else {
            panic!("no addresses on stdout; the log: {:?}", log.lines());
        };
        log.find("started", |line| line.text("msg") == "started");
        Self { child, rtmp: address(&push), http: address(&watch), log }
    }

    /// Where a publisher or RTMP player of `room` connects to.
    pub fn rtmp_url(&self, room: &str) -> String {
        format!("rtmp://{}/live/{room}", self.rtmp)
    }

    /// Where a viewer of `room` asks.
    pub fn flv_url(&self, room: &str) -> String {
        format!("http://{}/{room}.flv", self.http)
    }

    /// Waits until a publisher of `room` was accepted.
    pub fn wait_for_publisher(&self, room: &str) -> LogLine {
        self.log.find("publisher came", |line| line.says("publisher came", room))
    }

    /// Waits until a publisher of `room` left.
    pub fn wait_for_publisher_leaving(&self, room: &str) -> LogLine {
        self.log.find("publisher left", |line| line.says("publisher left", room))
    }

    /// Waits until a viewer of `room` left, over this protocol.
    pub fn wait_for_viewer_leaving(&self, room: &str, protocol: &str) -> LogLine {
        self.log
            .find("viewer left", |line| line.says("viewer left", room) && line.text("protocol") == protocol)
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.is_ok_and(|status| status.success()), "{kill}");
    }

    /// Waits until it has ended by itself.
    pub fn wait(mut self, limit: Duration) -> ExitStatus {
        let (done, ended) = mpsc::channel();
        let id = self.child.id();
        thread::scope(|scope| {
            scope.spawn(|| done.send(self.child.wait()));
            let status = ended.recv_timeout(limit);
            if status.is_err() {
                let _ = Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status();
            }
            status
        })
        .unwrap_or_else(|_| panic!("the server still runs after {limit:?}"))
        .expect("the server can be waited for")
    }

    /// Asserts that it runs and has not panicked.
    pub fn assert_unhurt(&mut self) {
        let ended = self.child.try_wait().expect("the server can be asked for");
        assert_eq!(ended, None, "the server ended: {:?}", self.log.lines());
        let panics = self.log.count(|line| line.text("msg") == "panic");
        assert_eq!(panics, 0, "{:?}", self.log.lines());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let lines = self.log.lines();
            let shown = lines.len().saturating_sub(LINES_SHOWN);
            eprintln!("the end of the server's log:\n{}", lines[shown..].join("\n"));
        }
    }
}

/// The address in a line such as `push   rtmp://127.0.0.1:1935/live/ROOM`.
fn address(line: &str) -> SocketAddr {
    let host = line.split("://").nth(1).and_then(|rest| rest.split('/').next());
    host.and_then(|host| host.parse().ok()).unwrap_or_else(|| panic!("no address in {line:?}"))
}

/// What a program that is to end by itself wrote, and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

/// Runs the program to its end; killed, and `None` as its code, if that takes too long.
pub fn run_to_end(mut command: Command) -> Ended {
    let mut child = command.spawn().expect("the server starts");
    let stdout = LogBook::of(child.stdout.take().expect("stdout is piped"));
    let stderr = LogBook::of(child.stderr.take().expect("stderr is piped"));
    let (done, ended) = mpsc::channel();
    let killer = thread::spawn({
        let id = child.id();
        move || {
            if ended.recv_timeout(PATIENCE).is_err() {
                let _ = Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status();
            }
        }
    });
    let status = child.wait().expect("the program can be waited for");
    let _ = done.send(());
    killer.join().expect("the watch over the program ends");
    Ended {
        code: status.code(),
        stdout: stdout.lines_to_the_end().join("\n"),
        stderr: stderr.lines_to_the_end().join("\n"),
    }
}
