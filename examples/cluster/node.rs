//! A node: the server, in a process of its own.

use std::{
    error::Error,
    ffi::OsStr,
    io,
    net::SocketAddr,
    path::Path,
    process::{self, Command, ExitCode},
    thread,
};

use synctv_stream::{config::Config, log, run};

use crate::process::{END_LIMIT, Process, Role};

/// Any free port, at which only this machine reaches the node.
const ANY_PORT: &str = "127.0.0.1:0";

/// A node that runs.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    pub process: Process,
    /// Where to publish, and the app to name there.
    pub rtmp: SocketAddr,
    pub app: String,
    /// Where to watch.
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
    ) -> Result<Self, Box<dyn Error>> {
        let storage = directory.join("hls");
        let settings = [
            ("NODE_ID", OsStr::new(name)),
            ("REDIS_URL", OsStr::new(redis_url)),
            ("RTMP_ADDR", OsStr::new(ANY_PORT)),
            ("HTTPFLV_ADDR", OsStr::new(ANY_PORT)),
            ("HLS_ADDR", OsStr::new(ANY_PORT)),
            ("ADVERTISE_HOST", OsStr::new("127.0.0.1")),
            ("HLS_STORAGE", storage.as_os_str()),
            // The nodes end together: there is nobody to give a room to.
            ("DRAIN_TIMEOUT_S", OsStr::new("0")),
        ];
        let mut process = Process::start(name, Role::Node, settings, directory, verbose)?;
        let Some(addresses) = Addresses::read(&mut process).await else {
            return Err(process.ended().await);
        };
        let Addresses { rtmp, app, http, hls } = addresses;
        Ok(Self { name: name.to_owned(), process, rtmp, app, http, hls })
    }

    /// Where `room` can be watched: what with, and the URL.
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

struct Addresses {
    rtmp: SocketAddr,
    app: String,
    http: SocketAddr,
    hls: Option<SocketAddr>,
}

impl Addresses {
    /// From the lines in which the server says where it serves; `None` if it ends without.
    async fn read(process: &mut Process) -> Option<Self> {
        let mut lines = process.stdout()?;
        let (mut push, mut watch, mut hls) = (None, None, None);
        while let Some(line) = lines.next_line().await.ok()? {
            let Some((what, url)) = line.split_once(char::is_whitespace) else { continue };
            let url = url.trim_start();
            match what {
                "push" => push = at(url),
                "watch" => watch = at(url),
                "hls" => hls = at(url),
                "page" => break,
                _ => {}
            }
        }
        let ((rtmp, app), (http, _)) = (push?, watch?);
        Some(Self { rtmp, app, http, hls: hls.map(|(address, _)| address) })
    }
}

/// The address in a URL, and the first part of its path.
fn at(url: &str) -> Option<(SocketAddr, String)> {
    let mut parts = url.split_once("://")?.1.split('/');
    Some((parts.next()?.parse().ok()?, parts.next()?.to_owned()))
}

/// The role: serves until stdin ends, or a signal comes.
pub fn serve() -> ExitCode {
    let config = match Config::load() {
        Ok(config) => config,
        Err(stop) => return stop.report(),
    };
    thread::spawn(stop_with_stdin);
    log::run_logged("synctv-stream", || run(config))
}

/// Ends this process as an operator would, so that it leaves nothing in Redis, once nobody holds the pipe.
fn stop_with_stdin() {
    // However it ends.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    let asked = Command::new("sh").args(["-c", "kill -TERM $PPID"]).status();
    if asked.is_ok_and(|status| status.success()) {
        thread::park_timeout(END_LIMIT);
    }
    process::exit(1);
}
