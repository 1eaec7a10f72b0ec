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
    directory::{DirectoryEnded, StreamDirectory},
};
use synctv_media::{access::Refusal, stream::room::RoomName};
use thiserror::Error;
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

/// Why there is no answer.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Directory(#[from] DirectoryEnded),
    #[error("the answer could not be encoded: {0}")]
    Encoding(#[from] serde_json::Error),
}

impl Failure {
    fn response(&self) -> HttpResponse {
        match self {
            // The log has it already, from when it ended.
            Self::Directory(_) => {
                error(StatusCode::SERVICE_UNAVAILABLE, "directory_ended", &self.to_string())
            }
            Self::Encoding(_) => {
                log::error!(reason:% = self; "the API cannot answer");
                error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &self.to_string())
            }
        }
    }
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
        encoded(&self.info)
    }

    /// `GET /api/v1/streams`: the rooms that the client may see.
    pub(super) async fn streams(&self, request: &HttpRequest) -> HttpResponse {
        let visible = match self.visible_rooms(request).await {
            Ok(visible) => visible,
            Err(refusal) => return refused(&refusal),
        };
        match self.newest().await {
            Ok((_, everything)) if visible.is_all() => json(everything),
            Ok((rooms, _)) => encoded(&rooms.visible(&visible)),
            Err(failure) => failure.response(),
        }
    }

    /// `GET /api/v1/streams?room=ROOM`: for those who want to know whether it is there, and to whom its absence is no
    /// error.
    pub(super) async fn streams_named(&self, request: &HttpRequest, room: &RoomName) -> HttpResponse {
        if let Err(refusal) = self.check(request, room).await {
            return refused(&refusal);
        }
        match self.newest().await {
            Ok((rooms, _)) => encoded(&rooms.only(room)),
            Err(failure) => failure.response(),
        }
    }

    /// `GET /api/v1/streams/ROOM`.
    pub(super) async fn stream(&self, request: &HttpRequest, room: &RoomName) -> HttpResponse {
        if let Err(refusal) = self.check(request, room).await {
            return refused(&refusal);
        }
        match self.newest().await {
            Ok((rooms, _)) => rooms.get(room).map_or_else(|| absent(&rooms, room), encoded),
            Err(failure) => failure.response(),
        }
    }

    /// Whether someone publishes a room, on any node.
    pub(super) async fn presence(&self, room: &RoomName) -> Presence {
        match self.newest().await {
            Ok((rooms, _)) if rooms.get(room).is_some() => Presence::Present,
            Ok((rooms, _)) => Presence::Absent(absent(&rooms, room)),
            Err(failure) => Presence::Absent(failure.response()),
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

    async fn newest(&self) -> Result<(Arc<Rooms>, Bytes), Failure> {
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
        Ok(Rooms::merge(&self.info.node, published, local?))
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

    async fn local(&self) -> Result<Vec<LocalStream>, DirectoryEnded> {
        let streams = self.directory.streams().await?;
        let asked = streams.into_iter().map(|stream| async move {
            let stats = stream.stats().await?;
            Some(LocalStream { room: stream.room().clone(), viewers: stream.viewers(), stats })
        });
        Ok(futures::future::join_all(asked).await.into_iter().flatten().collect())
    }
}

/// `GET /api/openapi.json`.
pub(super) fn description() -> HttpResponse {
    json(Bytes::from_static(include_bytes!("../../assets/openapi.json")))
}

/// The text of a value. An error must not become an empty answer, which clients would take for one without streams.
fn encode(value: &impl Serialize) -> Result<Bytes, Failure> {
    Ok(serde_json::to_string(value)?.into())
}

fn encoded(value: &impl Serialize) -> HttpResponse {
    match encode(value) {
        Ok(text) => json(text),
        Err(failure) => failure.response(),
    }
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

#[cfg(test)]
mod tests {
    use actix_web::{body::to_bytes, test::TestRequest};
    use synctv_actors::access::{AccessSettings, NodeKeys};

    use super::*;
    use crate::http::health::tests::{Part, actors};

    struct Unencodable;

    impl Serialize for Unencodable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("for a test"))
        }
    }

    async fn code(response: HttpResponse) -> (u16, serde_json::Value) {
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        (status, body["error"].clone())
    }

    fn api(directory: StreamDirectory, registry: RegistryHandle) -> Api {
        let (node, app) = ("n1".to_owned(), "live".to_owned());
        let info = ServerInfo { node, version: "0", app, rtmp_port: 1, hls_port: None };
        let gatekeeper = Gatekeeper::new(AccessSettings::OPEN, NodeKeys::random("n1").unwrap());
        Api::new(info, directory, registry, Orders::new(gatekeeper, None, false))
    }

    #[actix_rt::test]
    async fn a_directory_that_died_is_an_error_and_not_an_empty_list() {
        let (directory, registry) = actors(Some(Part::Directory));
        let (api, room) = (api(directory, registry), RoomName::new("r").unwrap());
        let died = (503, "directory_ended".into());
        let request = TestRequest::default().to_http_request();
        assert_eq!(code(api.streams(&request).await).await, died);
        assert_eq!(code(api.streams_named(&request, &room).await).await, died);
        assert_eq!(code(api.stream(&request, &room).await).await, died);
    }

    #[actix_rt::test]
    async fn what_cannot_be_encoded_is_an_error_and_not_an_empty_answer() {
        assert_eq!(code(encoded(&Unencodable)).await, (500, "internal".into()));
    }
}
