//! The thread that takes the signals to the process.
//!
//! An upgrade replaces the program, and a signal that a thread of the old one has taken is lost with it. One thread takes all
//! of them, so that it can be stopped before: signals that come then wait, and what waits is kept over `execve`, as
//! is the mask that makes it wait.

use std::{
    io,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
};

use nix::sys::signal::{SigSet, Signal};

/// The thread's name, as `top -H` has it.
const NAME: &str = "signals";

/// The thread. It ends, and signals wait for good, when the last handle to it is dropped.
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
    /// Starts the thread. Signals wait from here on until they are [released](Self::release). To be called before any thread is
    /// started that does not [block](block_signals) them itself.
    pub fn start() -> io::Result<Self> {
        block_signals()?;
        let (requests, received) = mpsc::sync_channel(1);
        thread::Builder::new().name(NAME.to_owned()).spawn(move || obey(&received))?;
        Ok(Self(requests))
    }

    /// Lets signals wait. Those that came before have been given to the runtime.
    pub fn hold(&self) -> io::Result<()> {
        self.request(Order::Hold)
    }

    /// Takes signals, also those that wait. To be called once the runtime hears them: most of them would end the process before.
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
        // It is waited for.
        let _ = done.send(outcome.map_err(io::Error::from));
    }
}

/// The signals that the server obeys.
fn signals() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR2].into_iter().collect()
}
