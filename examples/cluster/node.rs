//! A node: the server, in a process of its own.

use std::{
    error::Error,
    ffi::OsStr,
    io,
    net::SocketAddr,
    path::Path,
    process::{self, Command, ExitCode},
    sync::mpsc,
    thread,
    time::Duration,
};

use synctv_stream::{config::Config, log, run};
use synctv_testkit::server::{Addresses, is_last_address};

use crate::process::{Process, Role};

/// Time that a node may take to end. The process that started it kills one that it does not wait for.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// Any free port, at which only this machine reaches the node.
const ANY_PORT: &str = "127.0.0.1:0";

/// A node that runs.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    pub process: Process,
    /// The address to publish to, and the app there.
    pub rtmp: SocketAddr,
    pub app: String,
    /// The address to watch at.
    pub http: SocketAddr,
    pub hls: Option<SocketAddr>,
}

impl Node {
    /// Starts a node and waits until it serves.
    pub async fn start(
        name: &str,
        redis_url: &str,
        directory: &Path,
        verbose: bool,
        drain_timeout_s: u32,
    ) -> Result<Self, Box<dyn Error>> {
        let storage = directory.join("hls");
        let drain_timeout_s = drain_timeout_s.to_string();
        let settings = [
            ("NODE_ID", OsStr::new(name)),
            ("REDIS_URL", OsStr::new(redis_url)),
            ("RTMP_ADDR", OsStr::new(ANY_PORT)),
            ("HTTPFLV_ADDR", OsStr::new(ANY_PORT)),
            ("RTC_ADDR", OsStr::new("off")),
            ("HLS_ADDR", OsStr::new(ANY_PORT)),
            ("ADVERTISE_HOST", OsStr::new("127.0.0.1")),
            ("HLS_STORAGE", storage.as_os_str()),
            ("DRAIN_TIMEOUT_S", OsStr::new(&drain_timeout_s)),
        ];
        let mut process = Process::start(name, Role::Node, settings, directory, verbose)?;
        let Some(addresses) = addresses(&mut process).await else {
            return Err(process.ended().await);
        };
        let Addresses { rtmp, app, http, hls, .. } = addresses;
        Ok(Self { name: name.to_owned(), process, rtmp, app, http, hls })
    }

    /// Returns the ways to watch `room`: the program, and the URL.
    pub fn watch_urls(&self, room: &str) -> Vec<(&'static str, String)> {
        let http = self.http;
        let mut urls = vec![
            ("page", format!("http://{http}/watch/{room}")),
            ("FLV", format!("http://{http}/{room}.flv")),
        ];
        if let Some(hls) = self.hls {
            urls.push(("HLS", format!("http://{hls}/{}/{room}/index.m3u8", self.app)));
        }
        urls
    }
}

/// The addresses at which it says that it serves; `None` if it ends without.
async fn addresses(process: &mut Process) -> Option<Addresses> {
    let mut lines = process.stdout()?;
    let mut read = Vec::new();
    while let Some(line) = lines.next_line().await.ok()? {
        let is_last = is_last_address(&line);
        read.push(line);
        if is_last {
            break;
        }
    }
    Addresses::parse(&read)
}

/// The role: serves until stdin ends, or a signal comes.
pub fn serve() -> ExitCode {
    let config = match Config::load() {
        Ok(config) => config,
        Err(stop) => return stop.report(),
    };
    // Dropped when the server has ended.
    let (_running, ended) = mpsc::channel::<()>();
    thread::spawn(move || stop_with_stdin(&ended));
    log::run_logged("synctv-stream", || run(config))
}

/// Ends this process as an operator would, so that it leaves nothing in Redis, once the pipe is closed.
fn stop_with_stdin(ended: &mpsc::Receiver<()>) {
    // However it ends.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    let asked = Command::new("sh").args(["-c", "kill -TERM $PPID"]).status();
    let is_ending = asked.is_ok_and(|status| status.success());
    if !is_ending || ended.recv_timeout(DRAIN_LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
        process::exit(1);
    }
}
