//! The server's certificate: its files, and the one in use.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use log::warn;
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use thiserror::Error;

use super::validity::Validity;

/// The largest file that is read, in bytes. Chains have some kilobytes.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// The files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// TLS_CERT.
    pub certificate: PathBuf,
    /// TLS_KEY.
    pub key: PathBuf,
}

/// A certificate with its key, as they were read.
#[derive(Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    /// Of what both files had in them.
    pub(super) fingerprint: u64,
    /// From when until when it is valid, if that can be read.
    pub(super) validity: Option<Validity>,
}

/// The reason files are no certificate and key.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{setting}={}: {source}", path.display())]
    Read {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file has something else in it.
    #[error("{setting}={}: no {what} in PEM: {source}", path.display())]
    Pem {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        path: PathBuf,
        /// The missing part.
        what: &'static str,
        /// The parser's reason.
        source: pem::Error,
    },
    /// The key does not work with the certificate.
    #[error("TLS_KEY={} does not fit TLS_CERT={}: {source}", key.display(), certificate.display())]
    Pair {
        /// TLS_CERT.
        certificate: PathBuf,
        /// TLS_KEY.
        key: PathBuf,
        /// The library's reason.
        source: rustls::Error,
    },
}

impl Certificate {
    /// Logs that clients will not accept it, if its time is the reason. It is used nevertheless: some do not look.
    pub(super) fn warn_of_validity(&self) {
        if let Some(trouble) = self.validity.and_then(|validity| validity.trouble(now())) {
            warn!(why = trouble; "TLS_CERT is not accepted by clients");
        }
    }
}

impl CertificateFiles {
    /// Reads both files, and checks that they belong together.
    pub fn load(&self) -> Result<Certificate, CertificateError> {
        let (certificate, key) = (read("TLS_CERT", &self.certificate)?, read("TLS_KEY", &self.key)?);
        let mut fingerprint = DefaultHasher::new();
        (&certificate, &key).hash(&mut fingerprint);
        let chain = self.chain(&certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|source| self.pem("TLS_KEY", &self.key, "private key", source))?;
        let validity = chain.first().and_then(|leaf| Validity::of(leaf));
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|source| {
            CertificateError::Pair { certificate: self.certificate.clone(), key: self.key.clone(), source }
        })?;
        Ok(Certificate { key: Arc::new(key), fingerprint: fingerprint.finish(), validity })
    }

    fn chain(&self, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let chain = chain.and_then(|chain| match chain.is_empty() {
            true => Err(pem::Error::NoItemsFound),
            false => Ok(chain),
        });
        chain.map_err(|source| self.pem("TLS_CERT", &self.certificate, "certificate", source))
    }

    fn pem(
        &self,
        setting: &'static str,
        path: &Path,
        what: &'static str,
        source: pem::Error,
    ) -> CertificateError {
        CertificateError::Pem { setting, path: path.to_owned(), what, source }
    }
}

#[allow(clippy::disallowed_methods, reason = "a certificate's time is the wall clock's")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, CertificateError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX_BYTES).read_to_end(&mut text));
    read.map_err(|source| CertificateError::Read { setting, path: path.to_owned(), source })?;
    Ok(text)
}

/// The certificate that the next handshake shows. It can be changed while handshakes are made.
#[derive(Debug)]
pub struct CurrentCertificate(RwLock<Arc<CertifiedKey>>);

impl CurrentCertificate {
    /// Shows `certificate`.
    pub fn new(certificate: &Certificate) -> Self {
        Self(RwLock::new(certificate.key.clone()))
    }

    /// Shows `certificate` from the next handshake on.
    pub fn replace(&self, certificate: &Certificate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certificate.key.clone();
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
