//! A Redis of one's own, and a way to it that can be slow or cut.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::{PATIENCE, now};

/// How often to look at what cannot be waited for otherwise.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Someone else may take a port between its choice and its use.
const PORTS_TRIED_MAX: usize = 5;

/// A redis-server; it is killed when this is dropped.
pub struct Redis {
    child: Option<Child>,
    pub port: u16,
    flags: Vec<String>,
}

impl Redis {
    pub fn start(flags: &[&str]) -> Self {
        let mut output = Vec::new();
        for _ in 0..PORTS_TRIED_MAX {
            let port = free_port();
            let flags = flags.iter().map(|flag| flag.replace("PORT", &port.to_string())).collect();
            let mut redis = Self { child: None, port, flags };
            match redis.try_start() {
                Ok(()) => return redis,
                // Someone else may have been quicker to take the port.
                Err(lines) => output = lines,
            }
        }
        panic!("redis-server ends at once on {PORTS_TRIED_MAX} ports: {output:#?}");
    }

    /// Empty, on the same port.
    pub fn start_again(&mut self) {
        let port = self.port;
        self.try_start()
            .unwrap_or_else(|lines| panic!("redis-server ends at once on port {port}: {lines:#?}"));
    }

    /// Starts it and waits until it listens, or gives what it wrote before it ended. That something listens on the port is
    /// not enough: it may be somebody else's.
    fn try_start(&mut self) -> Result<(), Vec<String>> {
        let mut command = Command::new("redis-server");
        if !self.flags.iter().any(|flag| flag == "--tls-port") {
            command.args(["--port", &self.port.to_string()]);
        }
        command.args(["--save", "", "--appendonly", "no"]).args(&self.flags);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-server can be run (`make test` installs it)");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        self.child = Some(child);
        let mut written = Vec::new();
        while let Some(Ok(line)) = lines.next() {
            if line.contains("Ready to accept connections") {
                // Read on, or it would wait for room in the pipe.
                thread::spawn(move || lines.for_each(drop));
                return Ok(());
            }
            written.push(line);
        }
        self.kill();
        Err(written)
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What redis-cli prints, line by line.
    pub fn ask(&self, words: &[&str]) -> Vec<String> {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output();
        let output = output.expect("redis-cli can be run (`make test` installs it)");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    pub fn number(&self, words: &[&str]) -> i64 {
        self.ask(words).concat().parse().expect("Redis gives a number")
    }

    /// Rooms that it has.
    pub fn rooms(&self) -> Vec<String> {
        let mut rooms: Vec<_> =
            self.ask(&["KEYS", "stream:*"]).into_iter().filter(|key| !key.is_empty()).collect();
        rooms.sort();
        rooms
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that forwards to Redis.
pub struct Proxy {
    pub port: u16,
    delay_ms: Arc<AtomicU64>,
    is_cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let proxy = Self {
            port: listener.local_addr().expect("it has an address").port(),
            delay_ms: Arc::default(),
            is_cut: Arc::default(),
            open: Arc::default(),
        };
        let (delay_ms, is_cut, open) = (proxy.delay_ms.clone(), proxy.is_cut.clone(), proxy.open.clone());
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(target) else { continue };
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone(), to.try_clone());
                    let (from, to) = (from.expect("a socket is cloned"), to.expect("a socket is cloned"));
                    let delay_ms = delay_ms.clone();
                    thread::spawn(move || forward(from, to, &delay_ms));
                }
                open.lock().expect("nobody panicked").extend([near, far]);
            }
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How late everything arrives, in each direction.
    pub fn delay(&self, ms: u64) {
        self.delay_ms.store(ms, Ordering::SeqCst);
    }

    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for socket in self.open.lock().expect("nobody panicked").drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

#[allow(clippy::disallowed_methods, reason = "the delay is what is tested with")]
fn forward(mut from: TcpStream, mut to: TcpStream, delay_ms: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        thread::sleep(Duration::from_millis(delay_ms.load(Ordering::SeqCst)));
        if to.write_all(&buffer[..size]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Looks until there is something.
#[allow(clippy::disallowed_methods, reason = "what Redis has can only be looked at")]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < deadline, "{what}: not within {PATIENCE:?}");
        thread::sleep(LOOK_INTERVAL);
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").port()
}

#[test]
fn somebody_else_s_server_is_not_taken_for_a_redis() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = other.local_addr().expect("it has an address").port();
    let mut redis = Redis { child: None, port, flags: Vec::new() };
    let lines = redis.try_start().expect_err("the port is taken");
    assert!(lines.iter().any(|line| line.contains(&port.to_string())), "{lines:#?}");
}
