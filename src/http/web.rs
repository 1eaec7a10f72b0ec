//! The web framework's part of the port: everything but live media and HLS.

use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::Duration};

use actix_http::{HttpService, KeepAlive, error::DispatchError};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, map_config};
use actix_web::{
    App, HttpRequest, HttpResponse,
    dev::AppConfig,
    http::{Method, StatusCode},
    web,
};
use synctv_actors::{cluster::origin::PULL_HEADER, directory::OpenError};
use synctv_media::stream::room::RoomName;

use super::{
    admin,
    api::{self, Api, ServerInfo},
    api_error::ApiError,
    cors::{READ_METHODS, preflight},
    health::Health,
    page::{self, policy::HlsOrigin},
    path::{self, Administered, NodeOrder, Readable, Target},
    proxies,
    rewind::Rewind,
    settings::HttpSettings,
    whep::{self, Whep},
    write_timeout::WriteTimeout,
};

/// Time limit for a peer to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The methods of an administered resource.
const ADMIN_METHODS: &str = "DELETE, OPTIONS";

/// An order to drain or to upgrade.
const ORDER_METHODS: &str = "POST, OPTIONS";

/// The part that the framework serves.
pub(super) struct Site {
    app: String,
    api: Arc<Api>,
    info: ServerInfo,
    hls_origin: HlsOrigin,
    health: Health,
    whep: Option<Whep>,
}

impl Site {
    pub fn new(
        settings: &HttpSettings,
        api: Arc<Api>,
        info: ServerInfo,
        health: Health,
        whep: Option<Whep>,
    ) -> Self {
        let (app, hls_origin) = (settings.app.clone(), HlsOrigin::of(&info));
        Self { app, api, info, hls_origin, health, whep }
    }

    /// The server's description for clients that reach it as this request does.
    fn info(&self, request: &HttpRequest) -> Cow<'_, ServerInfo> {
        match proxies::public_url(request) {
            Some(url) => Cow::Owned(self.info.behind(&url)),
            None => Cow::Borrowed(&self.info),
        }
    }

    /// The place of HLS for a page that this request asks for.
    fn hls_origin(&self, request: &HttpRequest) -> &HlsOrigin {
        match &self.hls_origin {
            HlsOrigin::Port(_) if proxies::public_url(request).is_some() => &HlsOrigin::Same,
            origin => origin,
        }
    }
}

/// The framework's service for one worker thread.
pub(super) async fn service(
    settings: &HttpSettings,
    site: Site,
) -> Result<
    impl Service<(WriteTimeout<Rewind>, Option<SocketAddr>), Response = (), Error = DispatchError> + use<>,
    (),
> {
    let site = web::Data::new(site);
    let app = App::new().app_data(site).app_data(settings.proxies.clone()).default_service(web::to(answer));
    let app = map_config(app.into_factory(), |_| AppConfig::default());
    HttpService::<WriteTimeout<Rewind>, _, _>::build()
        // It gets one request at a time, behind which there is nothing to wait for.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(settings.head_timeout)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .h1_allow_half_closed(true)
        .h1(app)
        .new_service(())
        .await
}

async fn answer(request: HttpRequest, body: web::Payload, site: web::Data<Site>) -> HttpResponse {
    respond(&request, body, &site).await.unwrap_or_else(|refusal| refusal.response())
}

async fn respond(request: &HttpRequest, body: web::Payload, site: &Site) -> Result<HttpResponse, ApiError> {
    match path::parse(request.path(), request.query_string(), &site.app) {
        None => Err(ApiError::not_found(nothing_at(request.path(), &site.info(request)))),
        Some(Target::Administered(subject)) => administer(request, site, subject).await,
        Some(Target::Order(order)) => order_node(request, site, order).await,
        Some(Target::Whep { room, session }) => {
            let whep = site.whep.as_ref().ok_or_else(whep::off)?;
            whep.answer(request, body, &room?, session).await
        }
        Some(Target::Readable(target)) => match *request.method() {
            Method::OPTIONS => Ok(preflight(READ_METHODS)),
            Method::GET | Method::HEAD => get(request, site, target).await,
            _ => Err(ApiError::method_not_allowed(READ_METHODS)),
        },
    }
}

async fn get(request: &HttpRequest, site: &Site, target: Readable<'_>) -> Result<HttpResponse, ApiError> {
    let api = &site.api;
    match target {
        Readable::Alive => Ok(site.health.alive().await),
        Readable::Ready => Ok(site.health.ready().await),
        Readable::Home => page::home(request, site.hls_origin(request)).await,
        Readable::Watch(room) => {
            room?;
            page::watch(request, site.hls_origin(request)).await
        }
        Readable::Asset(name) => page::asset(request, name).await,
        Readable::Console => page::console(request).await,
        Readable::Nodes => api.nodes(request).await,
        Readable::ThisNode => api.this_node(request).await,
        Readable::Server => api::server(&site.info(request)),
        Readable::Streams(None) => api.streams(request).await,
        Readable::Streams(Some(room)) => api.streams_named(request, &room?).await,
        Readable::Stream(room) => api.stream(request, &room?).await,
        Readable::Description => Ok(api::description()),
        Readable::Flv(room) => Err(not_live(request, room?)),
    }
}

/// Without administrators, there is nothing at these paths.
async fn administer(
    request: &HttpRequest,
    site: &Site,
    subject: Administered<'_>,
) -> Result<HttpResponse, ApiError> {
    let api = &site.api;
    if !api.gatekeeper().has_administrators() {
        return Err(ApiError::not_found(nothing_at(request.path(), &site.info(request))));
    }
    match *request.method() {
        Method::OPTIONS => return Ok(preflight(ADMIN_METHODS)),
        Method::DELETE => {}
        _ => return Err(ApiError::method_not_allowed(ADMIN_METHODS)),
    }
    match subject {
        Administered::Publisher(room) => admin::kick_publisher(request, api, &room?).await,
        Administered::Viewers(room) => admin::kick_viewers(request, api, &room?).await,
        Administered::Block(room) => admin::unblock(request, api.orders(), &room?).await,
        Administered::Token(token_id) => admin::revoke(request, api.orders(), token_id).await,
        Administered::Revocation(token_id) => admin::reinstate(request, api.orders(), token_id).await,
    }
}

/// Like [`administer`], for the node itself.
async fn order_node(request: &HttpRequest, site: &Site, order: NodeOrder) -> Result<HttpResponse, ApiError> {
    if !site.api.gatekeeper().has_administrators() {
        return Err(ApiError::not_found(nothing_at(request.path(), &site.info(request))));
    }
    match *request.method() {
        Method::OPTIONS => Ok(preflight(ORDER_METHODS)),
        Method::POST => admin::order_node(request, &site.api, order).await,
        _ => Err(ApiError::method_not_allowed(ORDER_METHODS)),
    }
}

/// A playlist is easily asked for on the wrong port.
fn nothing_at(path: &str, info: &ServerInfo) -> String {
    let elsewhere = match (&info.hls_url, info.hls_port) {
        _ if !path.ends_with(".m3u8") => String::new(),
        (_, None) => "; HLS is off".to_owned(),
        (Some(url), Some(_)) => format!("; HLS is at {url}/{}/ROOM/index.m3u8", info.app),
        (None, Some(port)) => format!("; HLS is on port {port}, at /{}/ROOM/index.m3u8", info.app),
    };
    format!("there is nothing at this path{elsewhere}")
}

/// A live room's request does not come here: see the module `http`.
fn not_live(request: &HttpRequest, room: RoomName) -> ApiError {
    if request.headers().contains_key(PULL_HEADER) {
        let message = format!("{room} is not published through this node");
        return ApiError::new(StatusCode::NOT_FOUND, "not_published_here", message);
    }
    OpenError::NotLive(room).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::public_url::PublicUrl;

    #[test]
    fn a_request_for_a_playlist_on_the_wrong_port_names_the_right_one() {
        let port = ServerInfo {
            node: "n".to_owned(),
            version: "1",
            app: "live".to_owned(),
            tls: false,
            rtmp_port: 1935,
            hls_port: Some(8081),
            tls_port: None,
            hls_tls_port: None,
            webrtc: false,
            rtmp_url: None,
            http_url: None,
            hls_url: None,
        };
        let off = ServerInfo { hls_port: None, ..port.clone() };
        let url = ServerInfo { hls_url: PublicUrl::http("https://hls.example").ok(), ..port.clone() };
        let generic = nothing_at("/live/room.mp4", &port);
        for (info, expected) in [
            (port, "HLS is on port 8081, at /live/ROOM/index.m3u8"),
            (off, "HLS is off"),
            (url, "HLS is at https://hls.example/live/ROOM/index.m3u8"),
        ] {
            assert_eq!(nothing_at("/live/room.m3u8", &info), format!("{generic}; {expected}"));
        }
    }
}
