//! The thread that receives the process's signals.
//!
//! An upgrade replaces the program, and a signal that a thread of the old one has received is lost with it. One thread
//! receives all of them, and stops before the upgrade. Later signals stay pending, and `execve` keeps pending signals
//! and the mask that blocks them.

use std::{
    io,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
};

use nix::sys::signal::{SigSet, Signal};

/// The thread's name, as `top -H` shows it.
const NAME: &str = "signals";

/// A handle to the thread. When the last one is dropped, the thread ends and signals stay pending.
#[derive(Debug, Clone)]
pub(crate) struct SignalThread(SyncSender<Request>);

#[derive(Debug)]
struct Request {
    order: Order,
    done: SyncSender<io::Result<()>>,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Hold,
    Release,
}

impl SignalThread {
    /// Starts the thread. Signals stay pending until they are [released](Self::release). Call this before any thread is
    /// started that does not [block](block_signals) them itself.
    pub fn start() -> io::Result<Self> {
        block_signals()?;
        let (requests, received) = mpsc::sync_channel(1);
        thread::Builder::new().name(NAME.to_owned()).spawn(move || obey(&received))?;
        Ok(Self(requests))
    }

    /// Keeps signals pending. Earlier ones have reached the runtime when this returns.
    pub fn hold(&self) -> io::Result<()> {
        self.request(Order::Hold)
    }

    /// Receives signals, including pending ones. Call this once the runtime handles them: until then, most of them end the process.
    pub fn release(&self) -> io::Result<()> {
        self.request(Order::Release)
    }

    fn request(&self, order: Order) -> io::Result<()> {
        let (done, outcome) = mpsc::sync_channel(1);
        self.0.send(Request { order, done }).map_err(|_| io::Error::other("the signal thread has ended"))?;
        outcome.recv().map_err(|_| io::Error::other("the signal thread has ended"))?
    }
}

/// Blocks signals in the calling thread, and in those that it starts.
pub(crate) fn block_signals() -> io::Result<()> {
    Ok(signals().thread_block()?)
}

fn obey(requests: &Receiver<Request>) {
    while let Ok(Request { order, done }) = requests.recv() {
        let outcome = match order {
            Order::Hold => signals().thread_block(),
            Order::Release => signals().thread_unblock(),
        };
        // The caller waits for it.
        let _ = done.send(outcome.map_err(io::Error::from));
    }
}

/// The signals that the server handles.
fn signals() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR2].into_iter().collect()
}
