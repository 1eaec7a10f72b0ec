//! The API: what is live, in JSON. `assets/openapi.json` describes it, and a test holds the answers against that.

mod nodes;
pub(crate) mod rooms;
pub(crate) mod webrtc_state;

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::header};
use bytes::Bytes;
use log::warn;
use serde::Serialize;
use synctv_actors::{
    access::{Gatekeeper, Orders, Protocol, Visible},
    cluster::{origin::PublishedRoom, registry::RegistryHandle},
    directory::{DirectoryEnded, OpenError, StreamDirectory},
};
use synctv_media::{access::Refusal, stream::room::RoomName};
use tokio::{sync::Mutex, time::Instant};

use self::rooms::{LocalStream, Rooms};
use super::{api_error::ApiError, cors, credentials, hls::HlsViewers};
use crate::{
    config::public_url::PublicUrl, console::Console, drain::DrainOrder, upgrade::order::UpgradeOrder,
};

/// Maximum age of an answer. Rooms are listed no more often, whatever the number of requests.
const FRESH_FOR: Duration = Duration::from_millis(500);

/// Time limit for the registry to list the cluster's rooms.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(2);

/// The server's name, version and ports, from which clients build addresses.
#[derive(Debug, Clone, Serialize)]
pub struct ServerInfo {
    /// This node's name.
    pub node: String,
    /// The server's version.
    pub version: &'static str,
    /// The app of RTMP and HLS addresses.
    pub app: String,
    /// True if the ports of RTMP and HLS speak TLS for clients that ask over TLS.
    pub tls: bool,
    /// The port of RTMP.
    pub rtmp_port: u16,
    /// The port of HLS, unless it is off.
    pub hls_port: Option<u16>,
    /// The port of all that over TLS, unless it is off.
    pub tls_port: Option<u16>,
    /// The port of HLS alone over TLS with HTTP/2, unless it is off.
    pub hls_tls_port: Option<u16>,
    /// True if rooms can be watched over WebRTC.
    pub webrtc: bool,
    /// The address of RTMP without the app, if it is set.
    pub rtmp_url: Option<PublicUrl>,
    /// The address of HTTP-FLV, the page and the API, if it is set.
    pub http_url: Option<PublicUrl>,
    /// The address of HLS without the app, if it is set.
    pub hls_url: Option<PublicUrl>,
}

impl ServerInfo {
    /// The same of the TLS port, if there is one, which has everything. HLS is better off on the port that has it with
    /// HTTP/2.
    pub fn over_tls(&self) -> Self {
        let Some(port) = self.tls_port else { return self.clone() };
        let hls_port = self.hls_port.map(|_| self.hls_tls_port.unwrap_or(port));
        Self { tls: true, rtmp_port: port, hls_port, ..self.clone() }
    }

    /// The same for clients that reach this port at `url`, by a proxy: all of HTTP is there, unless the operator has
    /// set another place.
    pub fn behind(&self, url: &PublicUrl) -> Self {
        let here = || Some(url.clone());
        let hls_url = self.hls_url.clone().or_else(|| self.hls_port.and_then(|_| here()));
        Self { http_url: self.http_url.clone().or_else(here), hls_url, ..self.clone() }
    }
}

/// The API's state, which all worker threads share.
#[derive(Debug)]
pub struct Api {
    node: String,
    directory: StreamDirectory,
    registry: RegistryHandle,
    orders: Orders,
    hls_viewers: HlsViewers,
    drain_order: DrainOrder,
    upgrade_order: Option<UpgradeOrder>,
    console: Option<Console>,
    /// Held while rooms are listed, so that requests that come meanwhile wait for the same answer.
    newest: Mutex<Option<Snapshot>>,
}

#[derive(Debug)]
struct Snapshot {
    at: Instant,
    rooms: Arc<Rooms>,
    json: Bytes,
}

/// `GET /api/v1/server`.
pub(super) fn server(info: &ServerInfo) -> Result<HttpResponse, ApiError> {
    encoded(info)
}

impl Api {
    /// There was no request yet.
    pub fn new(
        node: String,
        directory: StreamDirectory,
        registry: RegistryHandle,
        orders: Orders,
        hls_viewers: HlsViewers,
        drain_order: DrainOrder,
    ) -> Self {
        Self {
            node,
            directory,
            registry,
            orders,
            hls_viewers,
            drain_order,
            upgrade_order: None,
            newest: Mutex::new(None),
            console: None,
        }
    }

    /// Answers for the console as well.
    pub fn with_console(self, console: Console) -> Self {
        Self { console: Some(console), ..self }
    }

    /// Takes orders to upgrade the process, if it can be.
    pub fn with_upgrade(self, upgrade_order: Option<UpgradeOrder>) -> Self {
        Self { upgrade_order, ..self }
    }

    pub(super) fn orders(&self) -> &Orders {
        &self.orders
    }

    pub(super) fn gatekeeper(&self) -> &Gatekeeper {
        self.orders.gatekeeper()
    }

    pub(super) fn drain_order(&self) -> &DrainOrder {
        &self.drain_order
    }

    pub(super) fn upgrade_order(&self) -> Option<&UpgradeOrder> {
        self.upgrade_order.as_ref()
    }

    /// `GET /api/v1/streams`: the rooms that the client may see.
    pub(super) async fn streams(&self, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
        let visible = self.visible_rooms(request).await?;
        let (rooms, everything) = self.newest().await?;
        if visible.is_all() { Ok(json(everything)) } else { encoded(&rooms.visible(&visible)) }
    }

    /// `GET /api/v1/streams?room=ROOM`: for clients to which a room's absence is no error.
    pub(super) async fn streams_named(
        &self,
        request: &HttpRequest,
        room: &RoomName,
    ) -> Result<HttpResponse, ApiError> {
        self.check(request, room).await?;
        let (rooms, _) = self.newest().await?;
        encoded(&rooms.only(room))
    }

    /// `GET /api/v1/streams/ROOM`.
    pub(super) async fn stream(
        &self,
        request: &HttpRequest,
        room: &RoomName,
    ) -> Result<HttpResponse, ApiError> {
        self.check(request, room).await?;
        let (rooms, _) = self.newest().await?;
        encoded(rooms.get(room).ok_or_else(|| absent(&rooms, room))?)
    }

    /// Refuses unless someone publishes a room, on any node.
    pub(super) async fn require_live(&self, room: &RoomName) -> Result<(), ApiError> {
        let (rooms, _) = self.newest().await?;
        rooms.get(room).map(|_| ()).ok_or_else(|| absent(&rooms, room))
    }

    async fn visible_rooms(&self, request: &HttpRequest) -> Result<Visible, Refusal> {
        let (authorization, query) = (credentials::authorization(request), request.query_string());
        self.gatekeeper().visible_rooms(authorization, query, credentials::peer(request)).await
    }

    /// Decides whether the client may know of a room: who may watch it, or see it in the list.
    async fn check(&self, request: &HttpRequest, room: &RoomName) -> Result<(), Refusal> {
        let access = credentials::access_request(request, Protocol::Api, room);
        self.gatekeeper().admit_reader(&access).await
    }

    async fn newest(&self) -> Result<(Arc<Rooms>, Bytes), ApiError> {
        let mut newest = self.newest.lock().await;
        if let Some(snapshot) = newest.as_ref().filter(|snapshot| snapshot.at.elapsed() < FRESH_FOR) {
            return Ok((snapshot.rooms.clone(), snapshot.json.clone()));
        }
        let rooms = Arc::new(self.list().await?);
        let json = encode(&*rooms)?;
        *newest = Some(Snapshot { at: Instant::now(), rooms: rooms.clone(), json: json.clone() });
        Ok((rooms, json))
    }

    async fn list(&self) -> Result<Rooms, DirectoryEnded> {
        let (published, local) = futures::join!(self.published(), self.local());
        Ok(Rooms::merge(&self.node, published, local?))
    }

    /// The cluster's rooms; `None` if the registry does not answer.
    async fn published(&self) -> Option<Vec<PublishedRoom>> {
        match tokio::time::timeout(REGISTRY_TIMEOUT, self.registry.rooms()).await {
            Ok(Ok(rooms)) => Some(rooms),
            Ok(Err(error)) => {
                warn!(reason:% = error; "the registry's rooms could not be listed");
                None
            }
            Err(_) => {
                warn!(timeout_s = REGISTRY_TIMEOUT.as_secs(); "the registry's rooms could not be listed in time");
                None
            }
        }
    }

    async fn local(&self) -> Result<Vec<LocalStream>, DirectoryEnded> {
        let streams = self.directory.streams().await?;
        let over_hls = self.hls_viewers.by_room();
        let asked = streams.into_iter().map(|stream| {
            let viewers = stream.viewers() + over_hls.get(stream.room()).copied().unwrap_or_default();
            async move {
                let stats = stream.stats().await?;
                Some(LocalStream { room: stream.room().clone(), viewers, stats })
            }
        });
        Ok(futures::future::join_all(asked).await.into_iter().flatten().collect())
    }
}

/// `GET /api/openapi.json`.
pub(super) fn description() -> HttpResponse {
    json(Bytes::from_static(include_bytes!("../../assets/openapi.json")))
}

/// The text of a value. An error must not become an empty answer, which clients would take for one without streams.
fn encode(value: &impl Serialize) -> Result<Bytes, ApiError> {
    let text = serde_json::to_string(value).map_err(|error| {
        let message = format!("the answer could not be encoded: {error}");
        log::error!(reason = message.as_str(); "the API cannot answer");
        ApiError::internal(message)
    })?;
    Ok(text.into())
}

fn encoded(value: &impl Serialize) -> Result<HttpResponse, ApiError> {
    encode(value).map(json)
}

fn json(body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(cors::ANY_ORIGIN)
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(body)
}

fn absent(rooms: &Rooms, room: &RoomName) -> ApiError {
    if rooms.complete {
        return OpenError::NotLive(room.clone()).into();
    }
    ApiError::registry_unavailable(format!("{room} is not on this node, and the registry does not answer"))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use synctv_actors::access::{AccessSettings, NodeKeys};

    use super::*;
    use crate::http::{
        api_error::tests::code,
        health::tests::{Part, actors},
    };

    struct Unencodable;

    impl Serialize for Unencodable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("for a test"))
        }
    }

    fn refused(answer: Result<HttpResponse, ApiError>) -> (u16, &'static str) {
        code(&answer.unwrap_err())
    }

    fn api(directory: StreamDirectory, registry: RegistryHandle) -> Api {
        let gatekeeper = Gatekeeper::new(AccessSettings::OPEN, NodeKeys::random("n1").unwrap());
        let orders = Orders::new(gatekeeper, None, false);
        let (hls_viewers, drain_order) = (HlsViewers::default(), DrainOrder::default());
        Api::new("n1".to_owned(), directory, registry, orders, hls_viewers, drain_order)
    }

    #[actix_rt::test]
    async fn a_directory_that_died_is_an_error_and_not_an_empty_list() {
        let (directory, registry) = actors(Some(Part::Directory));
        let (api, room) = (api(directory, registry), RoomName::new("r").unwrap());
        let died = (503, "directory_ended");
        let request = TestRequest::default().to_http_request();
        assert_eq!(refused(api.streams(&request).await), died);
        assert_eq!(refused(api.streams_named(&request, &room).await), died);
        assert_eq!(refused(api.stream(&request, &room).await), died);
    }

    #[actix_rt::test]
    async fn what_cannot_be_encoded_is_an_error_and_not_an_empty_answer() {
        assert_eq!(refused(encoded(&Unencodable)), (500, "internal"));
    }
}
