//! The window of a room's playlist, for the node that goes on with it. Only nodes of the cluster get it.

use actix_http::Request;
use actix_web::{
    HttpResponse,
    http::{Method, header},
};
use synctv_actors::{
    access::Gatekeeper,
    hls::{HlsSessions, SessionWindow},
};
use synctv_media::stream::room::RoomName;

use super::super::{api_error::ApiError, credentials};

/// Answers another node's request for a window; `None` for any other request.
pub(super) async fn answer(
    request: &Request,
    gatekeeper: &Gatekeeper,
    hls: &HlsSessions,
    app: &str,
) -> Option<Result<HttpResponse, ApiError>> {
    let below_app = request.path().strip_prefix('/')?.strip_prefix(app)?.strip_prefix('/')?;
    let (room, file) = below_app.rsplit_once('/')?;
    let (form, epoch) = SessionWindow::parse_file(file).filter(|_| request.method() == Method::GET)?;
    let room = RoomName::from_address(room).ok()?;
    let grant = match credentials::node(request, gatekeeper, &room)? {
        Ok(grant) => grant,
        Err(refusal) => return Some(Err(refusal.into())),
    };
    let window = hls.give_window(&grant.into(), form, epoch).await;
    Some(match window.and_then(|window| window.write()) {
        Some(text) => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(text)),
        None => Err(ApiError::not_found("there is no window to go on from".to_owned())),
    })
}
