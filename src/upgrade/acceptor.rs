//! The thread that accepts connections. It is the framework's, which says nowhere whether it has obeyed.

use std::{fs, path::PathBuf};

/// The thread's name, of which the system keeps 15 bytes.
const NAME: &str = "actix-server acceptor";
const NAME_MAX_BYTES: usize = 15;

/// The thread, as the system knows it.
#[derive(Debug)]
pub(super) struct Acceptor {
    /// Its state, in the format of proc_pid_stat(5).
    stat: PathBuf,
}

impl Acceptor {
    /// Finds the thread; `None` where there is no `/proc`.
    pub fn find() -> Option<Self> {
        Self::named(NAME)
    }

    fn named(name: &str) -> Option<Self> {
        let name = name.get(..NAME_MAX_BYTES).unwrap_or(name);
        let threads = fs::read_dir("/proc/self/task").ok()?;
        let mut threads = threads.filter_map(|entry| Some(entry.ok()?.path()));
        let is_it = |comm: String| comm.trim_end() == name;
        let thread = threads.find(|thread| fs::read_to_string(thread.join("comm")).is_ok_and(is_it))?;
        Some(Self { stat: thread.join("stat") })
    }

    /// Returns whether the thread has something to do. An order wakes it before the one who gave the order goes on, so that it
    /// is `false` only once the thread has obeyed, and has accepted what it was about to accept.
    pub fn is_running(&self) -> bool {
        let stat = fs::read_to_string(&self.stat);
        // Behind the name, which may have parentheses itself. A thread that has ended does not run.
        stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('S')))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
            mpsc,
        },
        thread,
    };

    use super::*;

    #[actix_rt::test]
    async fn the_frameworks_thread_is_found_and_rests_while_it_is_paused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let service = || actix_service::fn_service(async |_: tokio::net::TcpStream| Ok::<_, ()>(()));
        let server = actix_server::Server::build().workers(1).disable_signals();
        let server = server.listen("test", listener, service).unwrap().run();
        let handle = server.handle();
        actix_rt::spawn(server);
        handle.pause().await;
        // A thread gives itself its name, and may have to begin yet.
        let rests = || Acceptor::find().is_some_and(|acceptor| !acceptor.is_running());
        while !rests() {
            actix_rt::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        handle.stop(false).await;
    }

    #[test]
    fn threads_run_until_they_wait() {
        let is_over = Arc::new(AtomicBool::new(false));
        let (begun, begins) = mpsc::channel();
        let (ended, end) = mpsc::channel::<()>();
        let seen = is_over.clone();
        let work = move || {
            begun.send(()).unwrap();
            while !seen.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            let _ = end.recv();
        };
        let name = "a ) S thread";
        let worker = thread::Builder::new().name(name.to_owned()).spawn(work).unwrap();
        begins.recv().unwrap();
        let thread = Acceptor::named(name).expect("it has begun");
        assert!((0..100).all(|_| thread.is_running()));
        is_over.store(true, Ordering::Relaxed);
        while thread.is_running() {
            thread::yield_now();
        }
        drop(ended);
        worker.join().unwrap();
    }
}
