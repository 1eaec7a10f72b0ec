//! DTLS with one configuration for all peers. The library makes one for each of them, and checks its cryptography each time:
//! key exchanges in every group and several signatures, a quarter of the CPU of a join.

use std::{
    cell::Cell,
    sync::{Arc, OnceLock},
    time::Instant,
};

use dimpl::{Config, Dtls, DtlsCertificate, Error, Output, ProtocolVersion};
use str0m::crypto::{
    CryptoError, CryptoProvider,
    dtls::{DtlsInstance, DtlsProvider, DtlsVersion},
    from_feature_flags,
};

use super::srtp_keys::SrtpKeys;

thread_local! {
    /// The keys of the handshake that ended last on this thread. The library keeps them to itself, and its instances of DTLS
    /// cannot be asked for them; the peer takes them in the same call in which they come.
    static KEYS: Cell<Option<SrtpKeys>> = const { Cell::new(None) };
}

/// Takes the keys of a handshake that ended in the call to the library before this one, on the same thread.
pub(super) fn take_keys() -> Option<SrtpKeys> {
    KEYS.take()
}

/// Returns the library's cryptography with this DTLS.
pub(super) fn crypto() -> Arc<CryptoProvider> {
    static CRYPTO: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    CRYPTO
        .get_or_init(|| Arc::new(CryptoProvider { dtls_provider: &SharedConfig, ..from_feature_flags() }))
        .clone()
}

#[derive(Debug)]
struct SharedConfig;

impl DtlsProvider for SharedConfig {
    fn generate_certificate(&self) -> Option<DtlsCertificate> {
        from_feature_flags().dtls_provider.generate_certificate()
    }

    /// Makes an instance of DTLS 1.2, the version of all peers. `mtu` is the same for all.
    fn new_dtls(
        &self,
        certificate: &DtlsCertificate,
        now: Instant,
        _: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let dtls = Dtls::new_12(config(mtu)?, certificate.clone(), now);
        Ok(Box::new(Instance(dtls)))
    }
}

fn config(mtu: Option<usize>) -> Result<Arc<Config>, CryptoError> {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    // ICE has shown that the peer is where it says it is, for which DTLS has cookies.
    let mut builder = Config::builder().use_server_cookie(false);
    if let Some(mtu) = mtu {
        builder = builder.mtu(mtu);
    }
    let config = builder.build().map_err(|error| CryptoError::Other(error.to_string()))?;
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

struct Instance(Dtls);

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dtls")
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), Error> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> Output<'a> {
        let output = self.0.poll_output(buffer);
        if let Output::KeyingMaterial(material, profile) = &output {
            let (profile, material) = (*profile, material.to_vec());
            KEYS.set(Some(SrtpKeys { profile, material, is_client: self.0.is_active() }));
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), Error> {
        self.0.close()
    }
}
