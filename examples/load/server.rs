//! A server that is started to be measured.

use std::{
    error::Error,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::Args;

/// A server of our own, gone with this value.
pub struct Server {
    process: Child,
    rtmp: SocketAddr,
    http: SocketAddr,
    hls: Option<SocketAddr>,
    _storage: TempDir,
}

impl Server {
    /// Starts it alone, on ports that the system chooses, with these flags besides.
    pub fn start(binary: &Path, flags: &[&str]) -> Result<Self, Box<dyn Error>> {
        let any_port = "127.0.0.1:0";
        let storage = tempfile::tempdir()?;
        let mut process = Command::new(binary)
            .args(["--rtmp-addr", any_port, "--httpflv-addr", any_port, "--hls-addr", any_port])
            .args(["--redis-url", "off", "--hls-storage"])
            .arg(storage.path())
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut line = || lines.next().ok_or("the server did not start")?.map_err(Box::<dyn Error>::from);
        let (rtmp, http, third) = (address(&line()?)?, address(&line()?)?, line()?);
        let hls = if third.starts_with("hls") { Some(address(&third)?) } else { None };
        Ok(Self { process, rtmp, http, hls, _storage: storage })
    }

    /// The load, on this server.
    pub fn args(&self, args: Args) -> Args {
        Args { rtmp: self.rtmp, http: self.http, hls: self.hls, server_pid: Some(self.process.id()), ..args }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server says what it serves and at which URL.
fn address(line: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let host = line.split('/').nth(2).ok_or("the server did not say where it listens")?;
    Ok(host.parse()?)
}
