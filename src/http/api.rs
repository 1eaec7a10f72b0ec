//! The API: what is live, in JSON. `assets/openapi.json` describes it, and a test holds the answers against that.

mod rooms;

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use bytes::Bytes;
use log::warn;
use serde::Serialize;
use synctv_actors::{
    access::{Gatekeeper, Orders, Protocol, Visible},
    cluster::{origin::PublishedRoom, registry::RegistryHandle},
    directory::StreamDirectory,
};
use synctv_media::{access::Refusal, stream::room::RoomName};
use tokio::{sync::Mutex, time::Instant};

use self::rooms::{LocalStream, Rooms};
use super::{
    credentials::{self, refused},
    reply::error,
};

/// How old an answer may be. However many ask, rooms are listed no more often.
const FRESH_FOR: Duration = Duration::from_millis(500);

/// How long the registry may take to list the cluster's rooms.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(2);

/// When to ask again for what the registry did not tell, in seconds.
const RETRY_AFTER_S: u32 = 2;

/// What a client must know of the server to build addresses.
#[derive(Debug, Clone, Serialize)]
pub struct ServerInfo {
    /// This node's name.
    pub node: String,
    /// The server's version.
    pub version: &'static str,
    /// The app of RTMP and HLS addresses.
    pub app: String,
    /// The port of RTMP.
    pub rtmp_port: u16,
    /// The port of HLS, unless it is off.
    pub hls_port: Option<u16>,
}

/// What there is to answer, for all worker threads.
#[derive(Debug)]
pub struct Api {
    info: ServerInfo,
    directory: StreamDirectory,
    registry: RegistryHandle,
    orders: Orders,
    /// Held while rooms are listed, so that those who ask meanwhile wait for the same answer.
    newest: Mutex<Option<Snapshot>>,
}

/// Whether a room is there.
#[derive(Debug)]
pub(super) enum Presence {
    Present,
    /// It is not, or nobody knows: the answer that says which.
    Absent(HttpResponse),
}

#[derive(Debug)]
struct Snapshot {
    at: Instant,
    rooms: Arc<Rooms>,
    json: Bytes,
}

impl Api {
    /// Nobody has asked yet.
    pub fn new(
        info: ServerInfo,
        directory: StreamDirectory,
        registry: RegistryHandle,
        orders: Orders,
    ) -> Self {
        Self { info, directory, registry, orders, newest: Mutex::new(None) }
    }

    pub(super) fn orders(&self) -> &Orders {
        &self.orders
    }

    pub(super) fn gatekeeper(&self) -> &Gatekeeper {
        self.orders.gatekeeper()
    }

    pub(super) fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// `GET /api/v1/server`.
    pub(super) fn server(&self) -> HttpResponse {
        json(serde_json::to_string(&self.info).unwrap_or_default())
    }

    /// `GET /api/v1/streams`: the rooms that the client may see.
    pub(super) async fn streams(&self, request: &HttpRequest) -> HttpResponse {
        let visible = match self.visible_rooms(request).await {
            Ok(visible) => visible,
            Err(refusal) => return refused(&refusal),
        };
        let (rooms, everything) = self.newest().await;
        if visible.is_all() {
            return json(everything);
        }
        json(serde_json::to_string(&rooms.visible(&visible)).unwrap_or_default())
    }

    /// `GET /api/v1/streams?room=ROOM`: for those who want to know whether it is there, and to whom its absence is no
    /// error.
    pub(super) async fn streams_named(&self, request: &HttpRequest, room: &RoomName) -> HttpResponse {
        if let Err(refusal) = self.check(request, room).await {
            return refused(&refusal);
        }
        let (rooms, _) = self.newest().await;
        json(serde_json::to_string(&rooms.only(room)).unwrap_or_default())
    }

    /// `GET /api/v1/streams/ROOM`.
    pub(super) async fn stream(&self, request: &HttpRequest, room: &RoomName) -> HttpResponse {
        if let Err(refusal) = self.check(request, room).await {
            return refused(&refusal);
        }
        let (rooms, _) = self.newest().await;
        match rooms.get(room) {
            Some(found) => json(serde_json::to_string(found).unwrap_or_default()),
            None => absent(&rooms, room),
        }
    }

    /// Whether someone publishes a room, on any node.
    pub(super) async fn presence(&self, room: &RoomName) -> Presence {
        let (rooms, _) = self.newest().await;
        match rooms.get(room) {
            Some(_) => Presence::Present,
            None => Presence::Absent(absent(&rooms, room)),
        }
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

    async fn newest(&self) -> (Arc<Rooms>, Bytes) {
        let mut newest = self.newest.lock().await;
        if let Some(snapshot) = newest.as_ref().filter(|snapshot| snapshot.at.elapsed() < FRESH_FOR) {
            return (snapshot.rooms.clone(), snapshot.json.clone());
        }
        let rooms = Arc::new(self.list().await);
        let json = Bytes::from(serde_json::to_string(&*rooms).unwrap_or_default());
        *newest = Some(Snapshot { at: Instant::now(), rooms: rooms.clone(), json: json.clone() });
        (rooms, json)
    }

    async fn list(&self) -> Rooms {
        let (published, local) = futures::join!(self.published(), self.local());
        Rooms::merge(&self.info.node, published, local)
    }

    /// The cluster's rooms; `None` if the registry does not tell.
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

    async fn local(&self) -> Vec<LocalStream> {
        let streams = self.directory.streams().await;
        let asked = streams.into_iter().map(|stream| async move {
            let stats = stream.stats().await?;
            Some(LocalStream { room: stream.room().clone(), viewers: stream.viewers(), stats })
        });
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }
}

/// `GET /api/openapi.json`.
pub(super) fn description() -> HttpResponse {
    json(Bytes::from_static(include_bytes!("../../assets/openapi.json")))
}

fn json(body: impl Into<Bytes>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(body.into())
}

fn absent(rooms: &Rooms, room: &RoomName) -> HttpResponse {
    if rooms.complete {
        return error(StatusCode::NOT_FOUND, "room_not_live", &format!("nobody publishes {room}"));
    }
    unknown(room)
}

fn unknown(room: &RoomName) -> HttpResponse {
    let message = format!("{room} is not on this node, and the registry does not answer");
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, "registry_unavailable", &message);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}
