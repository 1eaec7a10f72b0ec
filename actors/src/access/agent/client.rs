//! Requests to services.

use std::{sync::Arc, time::Duration};

use awc::{
    Client, Connector,
    error::{ConnectError, SendRequestError},
};
use bytes::Bytes;
use log::warn;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use serde::Serialize;
use thiserror::Error;
use tokio::time::timeout;

use crate::access::service_url::ServiceUrl;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The HTTP client.
pub(super) struct ServiceClient(Client);

/// The reason that a service gave no answer. It never names the path, which may be a secret.
#[derive(Debug, Error)]
pub(super) enum ServiceError {
    /// Its time was over.
    #[error("{0} does not answer in time")]
    Late(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A service's answer.
pub(super) struct ServiceAnswer {
    pub status: u16,
    pub body: Bytes,
}

impl ServiceError {
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Late(_))
    }
}

impl ServiceClient {
    /// A client for the current thread. With `needs_tls`, the host's certificates are read.
    pub fn new(needs_tls: bool) -> Self {
        let connector = Connector::new().timeout(CONNECT_TIMEOUT);
        let connector = match needs_tls.then(tls).flatten() {
            Some(tls) => connector.rustls_0_23(tls),
            None => connector,
        };
        Self(Client::builder().connector(connector).disable_redirects().finish())
    }

    /// Gets a document.
    pub async fn get(
        &self,
        url: &ServiceUrl,
        patience: Duration,
        body_max_bytes: usize,
    ) -> Result<ServiceAnswer, ServiceError> {
        let exchange = async {
            let request = self.0.get(url.expose()).timeout(patience);
            let mut response = request.send().await.map_err(|error| reason(url, &error))?;
            read(response.status().as_u16(), response.body().limit(body_max_bytes).await)
        };
        timeout(patience, exchange).await.unwrap_or_else(|_| Err(ServiceError::Late(url.to_string())))
    }

    /// Posts a document in JSON. If no connection came about, it is tried once more: the service has not seen it.
    pub async fn post(
        &self,
        url: &ServiceUrl,
        body: &impl Serialize,
        patience: Duration,
        body_max_bytes: usize,
    ) -> Result<ServiceAnswer, ServiceError> {
        let exchange = async {
            let mut response = match self.0.post(url.expose()).timeout(patience).send_json(body).await {
                Err(SendRequestError::Connect(_)) => {
                    self.0.post(url.expose()).timeout(patience).send_json(body).await
                }
                answered => answered,
            }
            .map_err(|error| reason(url, &error))?;
            read(response.status().as_u16(), response.body().limit(body_max_bytes).await)
        };
        timeout(patience, exchange).await.unwrap_or_else(|_| Err(ServiceError::Late(url.to_string())))
    }
}

fn read<E: ToString>(status: u16, body: Result<Bytes, E>) -> Result<ServiceAnswer, ServiceError> {
    match body {
        Ok(body) => Ok(ServiceAnswer { status, body }),
        Err(error) => Err(ServiceError::Failed(error.to_string())),
    }
}

/// Errors of other kinds could name the address with its path.
fn reason(url: &ServiceUrl, error: &SendRequestError) -> ServiceError {
    ServiceError::Failed(match error {
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
            return ServiceError::Late(url.to_string());
        }
        SendRequestError::Connect(error) => format!("{url} cannot be connected to: {error}"),
        SendRequestError::Send(error) => format!("{url}: {error}"),
        SendRequestError::Response(error) => format!("{url}: {error}"),
        _ => format!("{url}: the request failed"),
    })
}

/// TLS with the certificates of the host. Without any, each request fails, and says so.
fn tls() -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let certificates = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(certificates.certs);
    if added == 0 {
        warn!(
            "the host has no certificates: https addresses of TOKEN_JWKS_URL, AUTH_URL and EVENTS_URL fail"
        );
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.inspect_err(|error| warn!(reason:% = error; "TLS cannot be used")).ok()?;
    Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
