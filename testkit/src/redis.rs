//! A Redis of the test's own, and a way to it that can be slow or cut.

mod proxy;

use std::{
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
};

pub use self::proxy::RedisProxy;
use crate::{process::Process, tools::run};

/// Another process may take a port between its choice and its use.
const PORTS_TRIED_MAX: usize = 5;

/// A redis-server; it is killed when this is dropped.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    /// Its port on this host.
    pub port: u16,
    flags: Vec<String>,
}

impl Redis {
    /// Starts it. In its flags, `PORT` stands for its port.
    pub fn start(flags: &[&str]) -> Self {
        let mut output = Vec::new();
        for _ in 0..PORTS_TRIED_MAX {
            let port = free_port();
            let flags = flags.iter().map(|flag| flag.replace("PORT", &port.to_string())).collect();
            let mut redis = Self { process: None, port, flags };
            match redis.try_start() {
                Ok(()) => return redis,
                Err(lines) => output = lines,
            }
        }
        panic!("redis-server ends at once on {PORTS_TRIED_MAX} ports: {output:#?}");
    }

    /// Starts it again, empty, on the same port.
    pub fn start_again(&mut self) {
        let port = self.port;
        self.try_start()
            .unwrap_or_else(|lines| panic!("redis-server ends at once on port {port}: {lines:#?}"));
    }

    /// Starts it and waits until it listens. The error is what it wrote before it ended. That the port can be connected to
    /// is not enough: it may be another process's.
    fn try_start(&mut self) -> Result<(), Vec<String>> {
        let mut command = Command::new("redis-server");
        if !self.flags.iter().any(|flag| flag == "--tls-port") {
            command.args(["--port", &self.port.to_string()]);
        }
        command.args(["--save", "", "--appendonly", "no"]).args(&self.flags);
        let mut process = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let log = process.stdout();
        let is_ready = |line: &str| line.contains("Ready to accept connections");
        if log.find_text("Redis is ready", is_ready).is_none() {
            return Err(log.lines());
        }
        self.process = Some(process);
        Ok(())
    }

    /// Kills it; its data is lost.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns what redis-cli prints, line by line.
    pub fn ask(&self, words: &[&str]) -> Vec<String> {
        let port = self.port.to_string();
        let output = run(Command::new("redis-cli").args(["-p", &port]).args(words));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// Returns what redis-cli prints, which has to be a number.
    pub fn number(&self, words: &[&str]) -> i64 {
        let answer = self.ask(words).concat();
        answer.parse().unwrap_or_else(|_| panic!("{words:?}: {answer:?} is no number"))
    }

    /// Returns the keys of the rooms that it has, in order.
    pub fn rooms(&self) -> Vec<String> {
        let mut rooms: Vec<_> =
            self.ask(&["KEYS", "stream:*"]).into_iter().filter(|key| !key.is_empty()).collect();
        rooms.sort();
        rooms
    }
}

/// Returns a port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_on_the_port_is_not_taken_for_a_redis() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let mut redis = Redis { process: None, port, flags: Vec::new() };
        let lines = redis.try_start().unwrap_err();
        assert!(lines.iter().any(|line| line.contains(&port.to_string())), "{lines:#?}");
    }
}
