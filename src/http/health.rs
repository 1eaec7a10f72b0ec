//! Whether the server lives, and whether it takes new work: for those who restart it, and who send it publishers and
//! viewers.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use serde_json::json;
use synctv_actors::{
    cluster::registry::{Readiness, RegistryHandle},
    directory::{DirectoryPhase, StreamDirectory},
};

/// How long an actor may take to answer. One that takes longer does not live.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Those who have to answer.
#[derive(Debug, Clone)]
pub struct Health {
    directory: StreamDirectory,
    registry: RegistryHandle,
}

impl Health {
    /// The health of the node with this directory and registry.
    pub fn new(directory: StreamDirectory, registry: RegistryHandle) -> Self {
        Self { directory, registry }
    }

    /// `GET /healthz`: the directory and the registry answer.
    pub(super) async fn alive(&self) -> HttpResponse {
        match self.ask().await {
            Ok(_) => ok("alive"),
            Err(dead) => unavailable("dead", dead),
        }
    }

    /// `GET /readyz`: rooms can be published here. Not so while Redis is away or the node stops.
    pub(super) async fn ready(&self) -> HttpResponse {
        match self.ask().await {
            Ok(DirectoryPhase::Draining) => unavailable("draining", "the node stops"),
            Ok(DirectoryPhase::Open) => match self.registry.readiness().await {
                Readiness::Ready => ok("ready"),
                Readiness::NotReady { reason } => unavailable("not_ready", &reason),
            },
            Err(dead) => unavailable("dead", dead),
        }
    }

    async fn ask(&self) -> Result<DirectoryPhase, &'static str> {
        let asked = async {
            let phase = self.directory.phase().await.ok_or("the router does not answer")?;
            self.registry.is_alive().await.then_some(phase).ok_or("the registry's actor does not answer")
        };
        tokio::time::timeout(ANSWER_TIMEOUT, asked).await.unwrap_or(Err("no answer in time"))
    }
}

fn ok(status: &str) -> HttpResponse {
    answer(StatusCode::OK, json!({ "status": status }))
}

fn unavailable(status: &str, reason: &str) -> HttpResponse {
    answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "status": status, "reason": reason }))
}

fn answer(code: StatusCode, body: serde_json::Value) -> HttpResponse {
    HttpResponse::build(code).insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}
