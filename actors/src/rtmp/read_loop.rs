//! The receiving half of a connection: one future from its start to its end.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{self, Poll, Waker},
};

use actix::{Actor, ActorFuture, Context};

use super::read_coalescing::Readiness;
use crate::wire::Wire;

/// The most that is read at once, in bytes.
const READ_MAX_BYTES: usize = 64 * 1024;

/// Reads from a peer that sends without a pause before others have their turn.
const READS_MAX: usize = 4;

thread_local! {
    /// Reads of all connections of a thread go through it, one after the other.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_MAX_BYTES]);
}

/// The state of a connection's reading side.
#[derive(Debug)]
pub(super) enum ReadFlow {
    /// As soon as there is something.
    Open,
    /// Input waits to take effect, and TCP slows the peer down.
    Paused(Option<Waker>),
}

impl ReadFlow {
    pub fn pause(&mut self) {
        *self = ReadFlow::Paused(None);
    }

    pub fn resume(&mut self) {
        if let ReadFlow::Paused(Some(waker)) = std::mem::replace(self, ReadFlow::Open) {
            waker.wake();
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self, ReadFlow::Open)
    }

    /// Ready when the connection may be read from.
    pub fn poll_open(&mut self, task: &task::Context<'_>) -> Poll<()> {
        match self {
            ReadFlow::Open => Poll::Ready(()),
            ReadFlow::Paused(waker) => {
                *waker = Some(task.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Reads the available bytes and hands them to `take`. The end of the peer's data is an error, `UnexpectedEof`.
pub(super) fn receive<T>(
    wire: &mut Wire,
    readiness: Readiness,
    take: impl FnOnce(&[u8]) -> T,
) -> io::Result<T> {
    READ_BUFFER.with_borrow_mut(|buffer| {
        let read = match readiness {
            Readiness::Announced => wire.read_announced(buffer),
            Readiness::Unannounced => wire.read_unannounced(buffer),
        };
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            size_bytes => Ok(take(&buffer[..size_bytes])),
        }
    })
}

/// A connection that a [`ReadLoop`] reads.
pub(super) trait ReadSide: Actor<Context = Context<Self>> {
    /// The effect of what one read received.
    type Received;

    /// Ready when there may be something to read and it may be read.
    fn poll_readable(&mut self, task: &mut task::Context<'_>) -> Poll<io::Result<Readiness>>;

    /// Reads once.
    fn receive(&mut self, readiness: Readiness) -> io::Result<Self::Received>;

    /// Lets what was received take effect.
    fn take_effect(&mut self, received: Self::Received, ctx: &mut Self::Context);

    /// Ends the connection: reading failed, or the peer closed its side.
    fn peer_disconnected(&mut self, error: io::Error, ctx: &mut Self::Context);
}

/// Reads a connection until it ends.
pub(super) struct ReadLoop;

impl<C: ReadSide> ActorFuture<C> for ReadLoop {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        connection: &mut C,
        ctx: &mut Context<C>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        for _ in 0..READS_MAX {
            let readable = task::ready!(connection.poll_readable(task));
            match readable.and_then(|readiness| connection.receive(readiness)) {
                Ok(received) => connection.take_effect(received, ctx),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    connection.peer_disconnected(error, ctx);
                    return Poll::Ready(());
                }
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}
