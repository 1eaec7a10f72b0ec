//! A redis-server of a test's own.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use synctv_media::cluster::{claims::NodeAddresses, standing::NodeUrl};

use super::*;

/// Another process may take a port between its choice and its use. In cluster mode there is a second one, 10,000 above, which a
/// connection of any process may have.
const PORTS_TRIED_MAX: usize = 5;

/// A redis-server; it is killed when this is dropped.
pub(super) struct Redis {
    pub(super) child: Child,
    pub(super) port: u16,
}

impl Redis {
    pub(super) async fn start() -> Self {
        Self::start_by(Self::on_port)
    }

    /// Starts one with the command for a port, on the first port on which that succeeds.
    fn start_by(command: impl Fn(u16) -> Command) -> Self {
        let free_port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = (0..PORTS_TRIED_MAX).find_map(|_| {
            let port = free_port();
            Some(Self { child: Self::spawn(command(port))?, port })
        });
        started.expect("redis-server listens")
    }

    /// With a configuration file, which some modes need.
    pub(super) async fn start_with(config: &std::path::Path, flags: &[&str]) -> Self {
        Self::start_by(|port| {
            let mut command = Command::new("redis-server");
            command.arg(config).args(["--port", &port.to_string()]);
            command.args(flags.iter().filter(|flag| !flag.is_empty()));
            command.arg("--dir").arg(config.parent().unwrap());
            command
        })
    }

    fn on_port(port: u16) -> Command {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command
    }

    /// Waits until it listens; `None` if it ends instead.
    fn spawn(mut command: Command) -> Option<Child> {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-server can be run (`make test` installs it)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let is_listening =
            lines.any(|line| line.contains("Ready to accept connections") || line.contains("Sentinel ID is"));
        // Read on, or it would wait for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        is_listening.then_some(child)
    }

    pub(super) async fn restart_empty(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(Self::on_port(self.port)).expect("the port is still free");
    }

    /// Goes on with what it had saved.
    pub(super) async fn restart_restored(&mut self, directory: &std::path::Path) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut command = Self::on_port(self.port);
        command.arg("--dir").arg(directory);
        self.child = Self::spawn(command).expect("the port is still free");
    }

    pub(super) fn membership(&self, node: &str, incarnation: u64) -> Membership {
        let at = |port: u16| format!("{node}:{port}");
        Membership {
            url: RedisUrl::parse(&format!("redis://127.0.0.1:{}/3", self.port)).unwrap(),
            prefix: KeyPrefix::default(),
            process: Process { node: node.to_owned(), incarnation },
            addresses: NodeAddresses { rtmp: at(1935), httpflv: at(8080), hls: Some(at(8081)) },
            standing: NodeStanding {
                started_ms: incarnation,
                is_draining: false,
                rtmp_url: NodeUrl::new(&format!("rtmp://{node}.test/live")).ok(),
            },
            lease_ttl: LEASE_TTL,
            claim_ttl: Duration::from_secs(300),
        }
    }

    pub(super) async fn join(&self, node: &str, incarnation: u64) -> Joined {
        let deadline = Instant::now() + PATIENCE;
        join(self.membership(node, incarnation), deadline).await.unwrap()
    }

    pub(super) async fn node(&self, node: &str, incarnation: u64) -> RedisStore {
        RedisStore::new(&self.join(node, incarnation).await)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
