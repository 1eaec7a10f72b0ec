//! The TLS settings that clients are offered.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::{self, Ticketer},
    server::{NoServerSessionStorage, ResolvesServerCert},
    version::{TLS12, TLS13},
};

use super::args::TlsMin;

/// The names of protocols, of which client and server agree on one (RFC 7301, ALPN).
pub(crate) const HTTP_1_1: &[u8] = b"http/1.1";
/// See [`HTTP_1_1`].
pub(crate) const HTTP_2: &[u8] = b"h2";

/// Offers `protocols`, the best one first, and the library's cipher suites, of which the client's order decides: phones without AES instructions put ChaCha20
/// first, all others AES-GCM. Sessions are resumed by tickets whose keys this process makes and changes: they cost no
/// memory here, and a client that comes to another node makes a whole handshake.
pub(crate) fn server_config(
    certificate: Arc<dyn ResolvesServerCert>,
    min: TlsMin,
    protocols: &[&[u8]],
) -> Result<ServerConfig, rustls::Error> {
    let versions = match min {
        TlsMin::V1_2 => &[&TLS13, &TLS12][..],
        TlsMin::V1_3 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new()?;
    Ok(config)
}
