//! The wake-ups of a connection for data that its peer sent.
//!
//! A publisher sends some seventy small messages a second. To be woken for each costs more than to handle it, and is worth
//! it only while someone watches live: segments are cut seconds behind.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::OnceLock,
    task::{self, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{clock::whole_ms, wire::Wire};

/// The longest time that input waits to be read while the stream has no viewers.
///
/// A segment is listed so much later, at the worst: it is over when the next keyframe was read.
const COALESCING_TIME: Duration = Duration::from_millis(75);

/// The times at which input is read are multiples of this, in milliseconds, so that one wake-up of a thread reads several
/// publishers: a wake-up costs as much as a read. No larger, because all of one time are read in one go; and a divisor of
/// [`COALESCING_TIME`], which a connection then keeps to.
const SLOT_MS: u64 = 15;

/// So much is read at once, whenever it is there: a fast publisher does not wait for the time to pass. In bytes.
const COALESCING_MAX_BYTES: i32 = 32 * 1024;

/// The reason there may be something to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// The system says so.
    Announced,
    /// Some time has passed; what came meanwhile was not worth an announcement.
    Unannounced,
}

/// Read coalescing: a connection of an unwatched publisher waits for more bytes per read.
#[derive(Debug)]
pub(super) enum ReadCoalescing {
    /// For anything at all.
    Each,
    /// For a lot, or for the time to pass.
    Coalesced(Pin<Box<Sleep>>),
}

impl ReadCoalescing {
    /// Wakes the connection for any data from now on. Data that has arrived already is announced.
    pub fn announce_each(&mut self, wire: &Wire) {
        if let Self::Coalesced(_) = self
            && set_low_water(wire, 1)
        {
            *self = Self::Each;
        }
    }

    /// Waits for a lot from now on, if the system can.
    pub fn coalesce(&mut self, wire: &Wire) {
        if let Self::Each = self
            && set_low_water(wire, COALESCING_MAX_BYTES)
        {
            *self = Self::Coalesced(Box::pin(sleep_until(next_slot(Instant::now()))));
        }
    }

    /// Ready when it is time to read. An end or an error of the connection is announced at once.
    pub fn poll(&mut self, wire: &Wire, task: &mut task::Context<'_>) -> Poll<io::Result<Readiness>> {
        let Self::Coalesced(due) = self else {
            return wire.poll_read_ready(task).map_ok(|()| Readiness::Announced);
        };
        let arrived = match due.as_mut().poll(task) {
            Poll::Ready(()) => Ok(Readiness::Unannounced),
            Poll::Pending => task::ready!(wire.poll_read_ready(task)).map(|()| Readiness::Announced),
        };
        due.as_mut().reset(next_slot(Instant::now()));
        Poll::Ready(arrived)
    }
}

/// Returns the last time to read at that is no later than [`COALESCING_TIME`] from now.
fn next_slot(now: Instant) -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(|| now);
    // Another thread's clock may be a moment ahead.
    let Some(since_start) = now.checked_duration_since(start) else { return now + COALESCING_TIME };
    let latest_ms = whole_ms(since_start + COALESCING_TIME);
    start + Duration::from_millis(latest_ms - latest_ms % SLOT_MS)
}

fn set_low_water(wire: &Wire, size_bytes: i32) -> bool {
    let set = wire.set_receive_low_water(size_bytes);
    set.inspect_err(|error| log::debug!(reason:% = error; "SO_RCVLOWAT could not be set")).is_ok()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
        time::{Instant, timeout},
    };

    use super::*;

    /// Long enough for anything that is not waited out on purpose.
    const PATIENCE: Duration = Duration::from_secs(10);

    async fn connection() -> (TcpStream, Wire) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let mut wire = Wire::from(socket);
        // A new socket counts as readable until the first attempt.
        drain(&mut wire);
        (peer, wire)
    }

    fn drain(wire: &mut Wire) {
        while wire.try_read(&mut [0; 4096]).is_ok() {}
    }

    async fn next(read_coalescing: &mut ReadCoalescing, wire: &Wire) -> Readiness {
        let arrived = poll_fn(|task| read_coalescing.poll(wire, task));
        timeout(PATIENCE, arrived).await.expect("nothing arrived").unwrap()
    }

    #[actix_rt::test]
    async fn each_message_is_announced_unless_reads_are_coalesced() {
        let (mut peer, wire) = connection().await;
        peer.write_all(b"x").await.unwrap();
        assert_eq!(next(&mut ReadCoalescing::Each, &wire).await, Readiness::Announced);
    }

    #[actix_rt::test]
    async fn small_messages_wait_for_the_time_to_pass() {
        let (mut peer, wire) = connection().await;
        let mut read_coalescing = ReadCoalescing::Each;
        let begun = Instant::now();
        read_coalescing.coalesce(&wire);
        peer.write_all(b"x").await.unwrap();
        assert_eq!(next(&mut read_coalescing, &wire).await, Readiness::Unannounced);
        assert!(begun.elapsed() >= COALESCING_TIME - Duration::from_millis(SLOT_MS + 1));
    }

    #[test]
    fn connections_are_read_at_the_same_times_and_no_later_than_they_may() {
        let now = Instant::now();
        let mut slots = Vec::new();
        for at_ms in 0..300 {
            let at = now + Duration::from_millis(at_ms);
            let slot = next_slot(at);
            let wait = slot - at;
            assert!(wait <= COALESCING_TIME && wait >= COALESCING_TIME - Duration::from_millis(SLOT_MS));
            assert_eq!(next_slot(slot), slot + COALESCING_TIME, "a connection keeps its slot");
            slots.push(slot);
        }
        slots.dedup();
        assert!(slots.len() <= 300 / SLOT_MS as usize + 1, "{}", slots.len());
    }

    #[actix_rt::test]
    async fn a_lot_is_announced_before_its_time() {
        let (mut peer, mut wire) = connection().await;
        let mut read_coalescing = ReadCoalescing::Each;
        read_coalescing.coalesce(&wire);
        for _ in 0..3 {
            peer.write_all(&vec![0; COALESCING_MAX_BYTES as usize]).await.unwrap();
            let announced =
                async { while next(&mut read_coalescing, &wire).await != Readiness::Announced {} };
            timeout(PATIENCE, announced).await.expect("it is never announced");
            drain(&mut wire);
        }
    }

    #[actix_rt::test]
    async fn an_end_is_announced_at_once() {
        let (peer, wire) = connection().await;
        let mut read_coalescing = ReadCoalescing::Each;
        read_coalescing.coalesce(&wire);
        drop(peer);
        assert_eq!(next(&mut read_coalescing, &wire).await, Readiness::Announced);
    }

    #[actix_rt::test]
    async fn what_waits_is_announced_when_each_message_is_again() {
        let (mut peer, wire) = connection().await;
        let mut read_coalescing = ReadCoalescing::Each;
        read_coalescing.coalesce(&wire);
        peer.write_all(b"x").await.unwrap();
        read_coalescing.announce_each(&wire);
        assert_eq!(next(&mut read_coalescing, &wire).await, Readiness::Announced);
    }
}
