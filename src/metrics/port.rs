//! The port: one path, on a thread that serves no media.

use std::{io, net::TcpListener, rc::Rc, sync::Arc, thread, time::Duration};

use actix_http::{HttpService, KeepAlive, error::DispatchError};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, map_config};
use actix_web::{
    App, HttpRequest, HttpResponse,
    dev::AppConfig,
    http::{Method, StatusCode, header},
    web,
};
use log::{debug, error, warn};
use prometheus_client::encoding::prometheus_text;
use synctv_actors::{
    connection_limit::ConnectionLimit,
    gzip::{Effort, gzip},
};
use synctv_media::access::Secret;
use tokio::net::TcpStream;

use super::node::{Format, NodeMetrics};

/// Scrapes that are answered at once. A third one is probably a mistake.
const SCRAPES_MAX: usize = 2;

/// Connections at once. They do not count towards `MAX_CONNECTIONS`: a node that is full is the one to look at.
const CONNECTIONS_MAX: usize = 16;

/// Time limit for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Time that a connection may wait for its next request. Scrapers come back every 10 to 60 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// The pause after a connection could not be accepted, as when there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// The content type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct Site {
    metrics: NodeMetrics,
    token: Option<Secret>,
    scrapes: ConnectionLimit,
}

/// Serves a node's metrics from a thread of its own, to the end of the process. With `token`, only who presents it gets
/// them.
pub fn serve(metrics: NodeMetrics, token: Option<Secret>, listener: TcpListener) -> io::Result<()> {
    let site = Arc::new(Site { metrics, token, scrapes: ConnectionLimit::new(SCRAPES_MAX) });
    let port = move || {
        if let Err(reason) = actix_rt::System::new().block_on(accept(site, listener)) {
            error!(reason:% = reason; "the port of metrics has ended");
        }
    };
    thread::Builder::new().name("metrics".to_owned()).spawn(port).map(drop)
}

async fn accept(site: Arc<Site>, listener: TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service = framework(site).await.map_err(|()| io::Error::other("the web framework did not start"))?;
    let (service, connections) = (Rc::new(service), ConnectionLimit::new(CONNECTIONS_MAX));
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(reason) => {
                warn!(reason:% = reason; "a scrape could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(permit) = connections.take() else { continue };
        let service = service.clone();
        actix_rt::spawn(async move {
            if let Err(reason) = service.call((socket, Some(peer))).await {
                debug!(peer:% = peer, reason:% = reason; "connection for metrics ended");
            }
            drop(permit);
        });
    }
}

async fn framework(
    site: Arc<Site>,
) -> Result<impl Service<(TcpStream, Option<std::net::SocketAddr>), Response = (), Error = DispatchError>, ()>
{
    let app = App::new().app_data(web::Data::from(site)).default_service(web::to(answer));
    let app = map_config(app.into_factory(), |_| AppConfig::default());
    HttpService::<TcpStream, _, _>::build()
        .keep_alive(KeepAlive::Timeout(IDLE_TIMEOUT))
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(HEAD_TIMEOUT)
        .h1(app)
        .new_service(())
        .await
}

async fn answer(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    if request.path() != "/metrics" {
        return refuse(StatusCode::NOT_FOUND, "there is nothing at this path: metrics are at /metrics");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "metrics can only be read");
    }
    if !site.admits(&request) {
        let mut refusal = refuse(StatusCode::UNAUTHORIZED, "METRICS_TOKEN is needed as a bearer token");
        let challenge = header::HeaderValue::from_static("Bearer");
        refusal.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return refusal;
    }
    let Some(_turn) = site.scrapes.take() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many scrapes at once");
    };
    let format = format(&request);
    match site.metrics.scrape(format).await {
        Ok(text) => success(&request, format, text),
        Err(reason) => refuse(StatusCode::SERVICE_UNAVAILABLE, &reason.to_string()),
    }
}

impl Site {
    fn admits(&self, request: &HttpRequest) -> bool {
        let Some(token) = &self.token else { return true };
        let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let presented = header.and_then(|value| value.split_once(' '));
        presented.is_some_and(|(scheme, value)| {
            scheme.eq_ignore_ascii_case("bearer") && token.is(value.trim().as_bytes())
        })
    }
}

/// Prometheus names OpenMetrics first in what it accepts; curl names nothing.
fn format(request: &HttpRequest) -> Format {
    match header_text(request, &header::ACCEPT) {
        accept if accept.contains("application/openmetrics-text") => Format::OpenMetrics,
        _ => Format::Prometheus,
    }
}

fn success(request: &HttpRequest, format: Format, text: String) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store")).content_type(match format {
        Format::Prometheus => prometheus_text::CONTENT_TYPE,
        Format::OpenMetrics => OPEN_METRICS,
    });
    if header_text(request, &header::ACCEPT_ENCODING).contains("gzip")
        && let Ok(compressed) = gzip(text.as_bytes(), Effort::Fast)
    {
        return response.insert_header((header::CONTENT_ENCODING, "gzip")).body(compressed);
    }
    response.body(text)
}

fn header_text<'r>(request: &'r HttpRequest, name: &header::HeaderName) -> &'r str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn refuse(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(format!("{message}\n"))
}
