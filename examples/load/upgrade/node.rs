//! A server that is upgraded while it is measured.

use std::{
    error::Error,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::Child,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use synctv_testkit::server::{Addresses, is_last_address, program_at};
use tokio::{sync::mpsc, time::timeout};

use super::counters::Counters;

/// Time limit of an upgrade, on a busy machine.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it is killed when this is dropped.
pub struct Node {
    process: Child,
    pub addresses: Addresses,
    /// The lines that end upgrades.
    upgraded: mpsc::UnboundedReceiver<Value>,
    /// The logged warnings and errors.
    complaints: Arc<Mutex<Vec<String>>>,
    _storage: tempfile::TempDir,
}

impl Node {
    /// Starts a node of a cluster, on ports that the system chooses.
    pub fn start(binary: &Path, name: &str, redis_url: &str) -> Result<Self, Box<dyn Error>> {
        let storage = tempfile::tempdir()?;
        let mut command = program_at(binary);
        command.args([
            "--node-id",
            name,
            "--redis-url",
            redis_url,
            "--hls",
            "always",
            "--metrics-addr",
            "127.0.0.1:0",
        ]);
        command.env("ADVERTISE_HOST", "127.0.0.1").arg("--hls-storage").arg(storage.path());
        let mut process = command.spawn()?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let (report, upgraded) = mpsc::unbounded_channel();
        let complaints = Arc::<Mutex<Vec<String>>>::default();
        let heard = complaints.clone();
        thread::spawn(move || {
            for line in
                stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).lines().map_while(Result::ok))
            {
                note(line, &report, &heard);
            }
        });
        let mut lines = Vec::new();
        let mut stdout =
            BufReader::new(stdout.ok_or("the server has no output")?).lines().map_while(Result::ok);
        while !lines.last().is_some_and(|line: &String| is_last_address(line)) {
            lines.push(stdout.next().ok_or("the server did not start")?);
        }
        // The next programs write their addresses too.
        thread::spawn(move || stdout.for_each(drop));
        let addresses = Addresses::parse(&lines).ok_or("the server does not name its addresses")?;
        Ok(Self { process, addresses, upgraded, complaints, _storage: storage })
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The address of its HLS port.
    pub fn hls(&self) -> Result<SocketAddr, Box<dyn Error>> {
        Ok(self.addresses.hls.ok_or("HLS is off")?)
    }

    /// Its counters.
    pub async fn counters(&self) -> Result<Counters, Box<dyn Error>> {
        Counters::scrape(self.addresses.metrics.ok_or("metrics are off")?).await
    }

    /// Orders an upgrade, and waits until it is over. Returns the time for which everything stood still, in milliseconds.
    pub async fn upgrade(&mut self) -> Result<u64, Box<dyn Error>> {
        kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGUSR2)?;
        let line = timeout(UPGRADE_PATIENCE, self.upgraded.recv()).await;
        let line = line.map_err(|_| "no upgrade within a minute")?.ok_or("the server ended")?;
        match line["msg"].as_str() {
            Some("upgraded") => Ok(line["paused_ms"].as_u64().unwrap_or_default()),
            _ => Err(line.to_string().into()),
        }
    }

    /// Returns whether the original process still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// The warnings and errors that it logged.
    pub fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reports the end of an upgrade, and keeps warnings and errors. Other lines are not parsed: there is one
/// for each viewer.
fn note(line: String, report: &mpsc::UnboundedSender<Value>, complaints: &Mutex<Vec<String>>) {
    const ENDS: [&str; 3] = ["upgraded", "upgrade given up", "connections resumed"];
    let has_ended =
        |line: &Value| line["msg"].as_str().is_some_and(|msg| ENDS.iter().any(|end| msg.starts_with(end)));
    if line.contains("upgrade") || line.contains("resumed") {
        let parsed = serde_json::from_str(&line).ok().filter(has_ended);
        if let Some(line) = parsed {
            // The load may have ended.
            let _ = report.send(line);
        }
    }
    if line.contains("\"level\":\"warn\"") || line.contains("\"level\":\"error\"") || !line.starts_with('{') {
        complaints.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
