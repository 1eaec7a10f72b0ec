//! Counters of TLS, for the metrics.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use synctv_actors::{
    metrics::{Counter, MetricSet},
    tls::HandshakeCounts,
};

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
    reloads: Counter,
    failed_reloads: Counter,
    /// The end of the certificate in use, in seconds since 1970; 0 if it is not known.
    not_after_unix_s: AtomicU64,
}

impl TlsMeters {
    /// Registers the durations of handshakes under their name. All else is asked for at a scrape, and carried over an upgrade.
    pub fn register(&self, registry: &mut MetricSet) {
        for (outcome, count) in self.handshakes() {
            registry.carry("tls_handshakes", &[("outcome", outcome)], count.clone());
        }
        for (outcome, count) in self.reloads() {
            registry.carry("tls_reloads", &[("outcome", outcome)], count.clone());
        }
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
        count.inc();
    }

    /// Returns how often new files were used, and how often they were not good.
    pub fn reloads(&self) -> [(&'static str, &Counter); 2] {
        let CertificateMeters { reloads, failed_reloads, .. } = &*self.certificate;
        [("reloaded", reloads), ("failed", failed_reloads)]
    }

    /// Returns how many handshakes ended in which way.
    pub fn handshakes(&self) -> [(&'static str, &Counter); 3] {
        let HandshakeCounts { completed, failed, timed_out, .. } = &*self.handshakes;
        [("completed", completed), ("failed", failed), ("timed_out", timed_out)]
    }

    /// Returns the end of the certificate in use, if there is one whose end is known, in seconds since 1970.
    pub fn not_after_unix_s(&self) -> Option<u64> {
        Some(self.certificate.not_after_unix_s.load(Ordering::Relaxed)).filter(|end| *end > 0)
    }
}
