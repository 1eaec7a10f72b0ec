//! A viewer's socket over an upgrade in place.

use std::{io, time::Instant};

use synctv_media::stream::{viewer_queue::ViewerQueue, wire_format::WireFormat};

use super::ViewerSocket;
use crate::{
    upgrade::{
        error::RestoreError,
        lot::{Parked, ParkingLot},
        states::SocketState,
    },
    wire::Wire,
};

impl ViewerSocket {
    /// Parks the connection with all that waits for it. Nothing is sent or read after that. Fails over TLS: then the connection
    /// is closed.
    pub(crate) fn park(self, lot: &ParkingLot, now: Instant) -> io::Result<SocketState> {
        let queue = lot.with_blobs(|blobs| self.queue.state(blobs, now));
        let descriptor = lot.put(self.wire.into_descriptor()?);
        Ok(SocketState { descriptor, queue, sent_bytes: self.sent_bytes })
    }

    /// Restores a connection on the current thread. No one is woken for it yet.
    pub(crate) fn restore(state: SocketState, parked: &Parked, now: Instant) -> Result<Self, RestoreError> {
        let wire = Wire::from_descriptor(parked.take(state.descriptor)?)?;
        let queue = ViewerQueue::restore(state.queue, parked.blobs(), now)?;
        Ok(Self {
            wire,
            format: queue.format(),
            queue,
            sent_bytes: state.sent_bytes,
            awaits_writable: false,
            awaits_readable: false,
        })
    }

    /// The format of the viewer's media.
    pub(crate) fn format(&self) -> WireFormat {
        self.format
    }

    /// Returns whether the viewer waits for the media to begin with.
    pub(crate) fn is_joining(&self) -> bool {
        self.queue.is_joining()
    }
}
