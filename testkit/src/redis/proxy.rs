//! A port in front of Redis that can be slow or cut.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// A port that forwards to Redis.
#[derive(Debug)]
pub struct RedisProxy {
    /// Its port on this host.
    pub port: u16,
    path: Arc<Path>,
}

/// The fate of the bytes.
#[derive(Debug, Default)]
struct Path {
    delay_ms: AtomicU64,
    is_cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl RedisProxy {
    /// Starts it in front of `target`.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
        let path = Arc::<Path>::default();
        thread::spawn({
            let path = path.clone();
            move || {
                for near in listener.incoming().map_while(Result::ok) {
                    path.connect(near, target);
                }
            }
        });
        Self { port, path }
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sets how late everything arrives, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.path.delay_ms.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    /// Closes all connections and lets no new one through.
    pub fn cut(&self) {
        self.path.is_cut.store(true, Ordering::SeqCst);
        for socket in self.path.open().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.path.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Path {
    fn connect(self: &Arc<Self>, near: TcpStream, target: SocketAddr) {
        let Ok(far) = TcpStream::connect(target) else { return };
        let mut open = self.open();
        // Under the lock: a connection that `cut` does not see in the list sees the cut.
        if self.is_cut.load(Ordering::SeqCst) {
            return;
        }
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (from, to) = (from.try_clone(), to.try_clone());
            let (from, to) = (from.expect("a socket is cloned"), to.expect("a socket is cloned"));
            let path = self.clone();
            thread::spawn(move || path.forward(from, to));
        }
        open.extend([near, far]);
    }

    #[allow(clippy::disallowed_methods, reason = "the delay is what is tested with")]
    fn forward(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst)));
            if to.write_all(&buffer[..size]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }

    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
