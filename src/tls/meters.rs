//! Counters of TLS, for the metrics.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use synctv_actors::{metrics::Registry, tls::HandshakeCounts};

use super::validity::Validity;

/// Counts of the TLS port. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct TlsMeters {
    /// Handshakes by their end.
    pub handshakes: Arc<HandshakeCounts>,
    certificate: Arc<CertificateMeters>,
}

#[derive(Debug, Default)]
struct CertificateMeters {
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
    /// The end of the certificate in use, in seconds since 1970; 0 if it is not known.
    not_after_unix_s: AtomicU64,
}

impl TlsMeters {
    /// Registers the durations of handshakes under their name. All else is asked for at a scrape.
    pub fn register(&self, registry: &mut Registry) {
        let seconds = self.handshakes.seconds.clone();
        registry.register(
            "tls_handshake_seconds",
            "Durations of TLS handshakes that opened a connection",
            seconds,
        );
    }

    /// Takes the end of the certificate that is in use from now on.
    pub(super) fn show(&self, validity: Option<Validity>) {
        let end = validity.map_or(0, |validity| validity.not_after_unix_s);
        self.certificate.not_after_unix_s.store(end, Ordering::Relaxed);
    }

    /// Counts a change of the files, and whether it is in use.
    pub(super) fn note_reload(&self, is_good: bool) {
        let count = if is_good { &self.certificate.reloads } else { &self.certificate.failed_reloads };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often new files were used, and how often they were not good.
    pub fn reloads(&self) -> [(&'static str, u64); 2] {
        let CertificateMeters { reloads, failed_reloads, .. } = &*self.certificate;
        [("reloaded", reloads), ("failed", failed_reloads)]
            .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
    }

    /// Returns how many handshakes ended in which way.
    pub fn handshakes(&self) -> [(&'static str, u64); 3] {
        let HandshakeCounts { completed, failed, timed_out, .. } = &*self.handshakes;
        [("completed", completed), ("failed", failed), ("timed_out", timed_out)]
            .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
    }

    /// Returns the end of the certificate in use, if there is one whose end is known, in seconds since 1970.
    pub fn not_after_unix_s(&self) -> Option<u64> {
        Some(self.certificate.not_after_unix_s.load(Ordering::Relaxed)).filter(|end| *end > 0)
    }
}
