//! The way out of a peer.

use super::address::PeerAddress;

/// Takes the datagrams of peers.
pub trait DatagramSink {
    /// Takes a datagram of this size, in bytes. `write` fills it in, in place: media is copied once, when it is encrypted. It
    /// returns `false` if it cannot, and then there is no datagram.
    fn put(&mut self, to: PeerAddress, size: usize, write: impl FnOnce(&mut [u8]) -> bool);
}

impl<F: FnMut(PeerAddress, &[u8])> DatagramSink for F {
    fn put(&mut self, to: PeerAddress, size: usize, write: impl FnOnce(&mut [u8]) -> bool) {
        let mut datagram = vec![0; size];
        if write(&mut datagram) {
            self(to, &datagram);
        }
    }
}

/// Puts a datagram that is there already.
pub(super) fn put(sink: &mut impl DatagramSink, to: PeerAddress, datagram: &[u8]) {
    sink.put(to, datagram.len(), |place| {
        place.copy_from_slice(datagram);
        true
    });
}
