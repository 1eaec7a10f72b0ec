//! A server that is started to be measured.

use std::{
    error::Error,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use synctv_testkit::server::{Addresses, is_last_address};
use tempfile::TempDir;

use crate::args::Args;

/// A running server; it is killed when this is dropped.
pub struct Server {
    process: Child,
    addresses: Addresses,
    _storage: TempDir,
}

impl Server {
    /// Starts it alone, on ports that the system chooses, with these flags besides.
    pub fn start(binary: &Path, flags: &[&str]) -> Result<Self, Box<dyn Error>> {
        let any_port = "127.0.0.1:0";
        let storage = tempfile::tempdir()?;
        let mut process = Command::new(binary)
            .args(["--rtmp-addr", any_port, "--httpflv-addr", any_port, "--hls-addr", any_port])
            .args(unless_set("--rtc-addr", flags))
            .args(unless_set("--redis-url", flags))
            .arg("--hls-storage")
            .arg(storage.path())
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the server has no output")?;
        let mut lines = Vec::new();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let is_last = is_last_address(&line);
            lines.push(line);
            if is_last {
                break;
            }
        }
        let addresses = Addresses::parse(&lines).ok_or("the server did not start")?;
        Ok(Self { process, addresses, _storage: storage })
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The address of its metrics, if they are on.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.addresses.metrics
    }

    /// The load, on this server.
    pub fn args(&self, args: Args) -> Args {
        let Addresses { rtmp, http, hls, tls, .. } = self.addresses;
        let http = tls.filter(|_| args.tls).unwrap_or(http);
        Args { rtmp, http, hls, server_pid: Some(self.process.id()), ..args }
    }
}

/// Turns off what is for loads that measure it.
fn unless_set<'f>(flag: &'f str, flags: &[&str]) -> Vec<&'f str> {
    if flags.contains(&flag) { Vec::new() } else { vec![flag, "off"] }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
