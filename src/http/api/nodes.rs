//! Reports of nodes, for the console.

use actix_web::{HttpRequest, HttpResponse, http::header};
use synctv_actors::cluster::origin::PULL_HEADER;
use synctv_media::access::{NodeRequest, Refusal};

use super::{super::credentials, Api, ApiError, encoded};
use crate::console::Console;

impl Api {
    /// `GET /api/v1/nodes`: the reports of all nodes.
    pub(in crate::http) async fn nodes(&self, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
        self.admit_reader_of_nodes(request).await?;
        encoded(&self.console()?.cluster().await?)
    }

    /// `GET /api/v1/nodes/this`: the report of this node, for other nodes as well.
    pub(in crate::http) async fn this_node(&self, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
        match request.headers().get(PULL_HEADER) {
            Some(signature) => self.verify_node(request, signature)?,
            None => self.admit_reader_of_nodes(request).await?,
        }
        encoded(&self.console()?.node().await?)
    }

    fn console(&self) -> Result<&Console, ApiError> {
        self.console.as_ref().ok_or_else(|| ApiError::not_found("this node keeps no history"))
    }

    async fn admit_reader_of_nodes(&self, request: &HttpRequest) -> Result<(), Refusal> {
        let gatekeeper = self.gatekeeper();
        if gatekeeper.are_reports_open() {
            return Ok(());
        }
        let (authorization, peer) = (credentials::authorization(request), credentials::peer(request));
        gatekeeper.admit_administrator(authorization, None, peer).await.map(drop)
    }

    fn verify_node(&self, request: &HttpRequest, signature: &header::HeaderValue) -> Result<(), Refusal> {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let signed = NodeRequest { method: "GET", host: host.unwrap_or_default(), path: request.path() };
        self.gatekeeper().nodes().verify(&signed, signature.to_str().unwrap_or_default())
    }
}
