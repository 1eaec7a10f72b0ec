//! Liveness and readiness of the server, for supervisors that restart it and balancers that send it connections.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use serde_json::json;
use synctv_actors::{
    cluster::registry::{Readiness, RegistryHandle},
    directory::StreamDirectory,
    hls::proxy::HlsProxy,
};

/// Time limit for an actor's answer. One that takes longer counts as dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The health of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Rooms can be published here.
    Ready,
    /// Not now, for this reason.
    NotReady(String),
    /// The node drains.
    Draining,
    /// An actor that exists once per node has ended, as the reason says.
    Dead(&'static str),
}

/// The parts that have to answer.
#[derive(Debug, Clone)]
pub struct Health {
    directory: StreamDirectory,
    registry: RegistryHandle,
    /// Unless HLS is off.
    proxy: Option<HlsProxy>,
}

impl Health {
    /// The health of the node with these actors.
    pub fn new(directory: StreamDirectory, registry: RegistryHandle, proxy: Option<HlsProxy>) -> Self {
        Self { directory, registry, proxy }
    }

    /// `GET /healthz`: the actors answer that exist once per node. None of them is restarted after a panic, as its state
    /// is lost; the process has to be.
    pub(super) async fn alive(&self) -> HttpResponse {
        match self.ask().await {
            Ok(()) => ok("alive"),
            Err(dead) => unavailable("dead", dead),
        }
    }

    /// `GET /readyz`: rooms can be published here. Not so while Redis is away or the node stops.
    pub(super) async fn ready(&self) -> HttpResponse {
        match self.standing().await {
            Standing::Ready => ok("ready"),
            Standing::NotReady(reason) => unavailable("not_ready", &reason),
            Standing::Draining => unavailable("draining", "the node stops"),
            Standing::Dead(reason) => unavailable("dead", reason),
        }
    }

    /// Returns how the node is.
    pub async fn standing(&self) -> Standing {
        match self.ask().await {
            Ok(()) if self.directory.is_draining() => Standing::Draining,
            Ok(()) => match self.registry.readiness().await {
                Readiness::Ready => Standing::Ready,
                Readiness::NotReady { reason } => Standing::NotReady(reason),
            },
            Err(dead) => Standing::Dead(dead),
        }
    }

    async fn ask(&self) -> Result<(), &'static str> {
        let asked = async {
            self.directory.phase().await.map_err(|_| "the directory of streams has ended")?;
            if !self.registry.is_alive().await {
                return Err("the registry's actor has ended");
            }
            match &self.proxy {
                Some(proxy) if !proxy.is_alive().await => Err("the actor for HLS of other nodes has ended"),
                _ => Ok(()),
            }
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

#[cfg(test)]
pub(in crate::http) mod tests {
    use std::thread;

    use actix_rt::System;
    use clap::Parser;
    use synctv_actors::{access::NodeKeys, cluster::embedded_store::EmbeddedStore, hls::FetchedMemory};

    use super::*;
    use crate::config::Config;

    /// An actor that the node has one of.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Part {
        Directory,
        Registry,
        Proxy,
    }

    /// A directory and its registry, of which one may have ended.
    pub fn actors(ended: Option<Part>) -> (StreamDirectory, RegistryHandle) {
        let registry = outlived(ended == Some(Part::Registry), || {
            RegistryHandle::start(Duration::from_secs(60), || EmbeddedStore::new("n1".to_owned()))
        });
        let of_directory = registry.clone();
        let directory = outlived(ended == Some(Part::Directory), move || {
            let nodes = NodeKeys::random("n1").unwrap();
            let settings = Config::parse_from(["synctv-stream"]).stream_settings(&nodes);
            StreamDirectory::start(settings, of_directory, 10, None)
        });
        (directory, registry)
    }

    /// A handle whose actor lives, or has ended with its system.
    fn outlived<T: Send + 'static>(is_to_end: bool, start: impl FnOnce() -> T + Send + 'static) -> T {
        if !is_to_end {
            return start();
        }
        let system = move || {
            let system = System::new();
            let handle = system.block_on(async { start() });
            System::current().stop();
            system.run().unwrap();
            handle
        };
        thread::spawn(system).join().unwrap()
    }

    async fn statuses(ended: Option<Part>) -> (u16, u16) {
        let (directory, registry) = actors(ended);
        let of_relay = registry.clone();
        let proxy = outlived(ended == Some(Part::Proxy), move || {
            let nodes = NodeKeys::random("n1").unwrap();
            let settings = Config::parse_from(["synctv-stream"]).hls_proxy_settings(&nodes);
            HlsProxy::start(of_relay, settings, FetchedMemory::alone(0))
        });
        let health = Health::new(directory, registry, Some(proxy));
        (health.alive().await.status().as_u16(), health.ready().await.status().as_u16())
    }

    #[actix_rt::test]
    async fn a_node_is_alive_and_ready_while_its_actors_are() {
        assert_eq!(statuses(None).await, (200, 200));
    }

    #[actix_rt::test]
    async fn a_node_is_dead_without_any_of_its_actors() {
        for part in [Part::Directory, Part::Registry, Part::Proxy] {
            assert_eq!(statuses(Some(part)).await, (503, 503));
        }
    }
}
