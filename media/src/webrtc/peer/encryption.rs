//! Both directions of a peer's encryption, under the keys of its handshake.

use str0m::crypto::CryptoProvider;

use super::{
    srtp::{SrtcpReceiver, SrtpSender},
    srtp_keys::SrtpKeys,
};

/// The directions.
pub(super) struct Encryption {
    pub sender: SrtpSender,
    pub receiver: SrtcpReceiver,
}

impl Encryption {
    /// Starts with the keys. `None` for a profile that is not known.
    pub fn new(keys: &SrtpKeys, crypto: &CryptoProvider) -> Option<Self> {
        let sender = SrtpSender::new(keys.profile, &keys.outgoing()?, crypto)?;
        let receiver = SrtcpReceiver::new(keys.profile, &keys.incoming()?, crypto)?;
        Some(Self { sender, receiver })
    }
}
