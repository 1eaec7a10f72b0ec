//! A certificate that changes while the server runs.
//!
//! Files are compared by what is in them: Kubernetes swaps a symbolic link, certbot writes a new file and a link, and the
//! times of either say little.

use std::{io, sync::Arc, time::Duration};

use log::{info, warn};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{
    certificate::{Certificate, CertificateFiles, CurrentCertificate},
    meters::TlsMeters,
};

/// Interval at which the files are read.
const INTERVAL: Duration = Duration::from_secs(10);

/// Reads the files again and again.
pub(super) struct Reload {
    files: CertificateFiles,
    current: Arc<CurrentCertificate>,
    /// The content of the files that is in use.
    fingerprint: u64,
    /// The trouble that the log has named last.
    trouble: Option<String>,
    hangup: Signal,
    meters: TlsMeters,
}

impl Reload {
    /// Makes what keeps `current`, which was read from `files`, up to date.
    pub fn new(
        files: CertificateFiles,
        certificate: &Certificate,
        current: Arc<CurrentCertificate>,
        meters: TlsMeters,
    ) -> io::Result<Self> {
        let hangup = signal(SignalKind::hangup())?;
        meters.show(certificate.validity);
        Ok(Self { files, current, fingerprint: certificate.fingerprint, trouble: None, hangup, meters })
    }

    /// Runs until the process ends: at an interval, and at SIGHUP.
    pub async fn run(mut self) {
        let mut interval = interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                _ = self.hangup.recv() => {}
            }
            let files = self.files.clone();
            // A disk that hangs holds up nothing else.
            match spawn_blocking(move || files.load().map_err(|error| error.to_string())).await {
                Ok(loaded) => self.take(loaded),
                Err(_) => return,
            }
        }
    }

    /// Uses what was read, unless that is nothing new or nothing good.
    fn take(&mut self, loaded: Result<Certificate, String>) {
        match loaded {
            Ok(certificate) => {
                self.trouble = None;
                if certificate.fingerprint != self.fingerprint {
                    self.fingerprint = certificate.fingerprint;
                    self.current.replace(&certificate);
                    self.meters.show(certificate.validity);
                    self.meters.note_reload(true);
                    info!("certificate reloaded");
                    certificate.warn_of_validity();
                }
            }
            Err(trouble) if self.trouble.as_ref() == Some(&trouble) => {}
            Err(trouble) => {
                self.meters.note_reload(false);
                warn!(why = trouble.as_str(); "certificate not reloaded, the old one stays");
                self.trouble = Some(trouble);
            }
        }
    }
}
