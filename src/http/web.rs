//! What the web framework answers: everything but live media.

use std::{net::SocketAddr, time::Duration};

use actix_http::{HttpService, KeepAlive, error::DispatchError};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, map_config};
use actix_web::{
    App, HttpRequest, HttpResponse,
    dev::AppConfig,
    http::{Method, StatusCode},
    web,
};
use synctv_actors::registry::origin::PULL_HEADER;
use tokio::net::TcpStream;

use super::{
    HttpSettings, flv,
    reply::{error, not_allowed, preflight},
    rewind::Rewind,
};

/// How long a peer may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

struct Site {
    app: String,
}

/// The framework's service for one worker thread.
pub(super) async fn service(
    settings: &HttpSettings,
) -> Result<
    impl Service<(Rewind<TcpStream>, Option<SocketAddr>), Response = (), Error = DispatchError> + use<>,
    (),
> {
    let site = web::Data::new(Site { app: settings.app.clone() });
    let app = App::new().app_data(site).default_service(web::to(answer));
    let app = map_config(app.into_factory(), |_| AppConfig::default());
    HttpService::<Rewind<TcpStream>, _, _>::build()
        .keep_alive(KeepAlive::Disabled)
        .client_request_timeout(settings.head_timeout)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .h1_allow_half_closed(false)
        .h1(app)
        .new_service(())
        .await
}

async fn answer(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    match flv::room(request.path(), &site.app) {
        None => error(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path"),
        Some(_) if request.method() == Method::OPTIONS => preflight(),
        Some(_) if !matches!(*request.method(), Method::GET | Method::HEAD) => not_allowed(),
        Some(Err(bad_name)) => error(StatusCode::BAD_REQUEST, "bad_room_name", &bad_name.to_string()),
        // A live room's request does not come here: see the module `http`.
        Some(Ok(room)) if request.headers().contains_key(PULL_HEADER) => {
            let message = format!("{room} is not published through this node");
            error(StatusCode::NOT_FOUND, "not_published_here", &message)
        }
        Some(Ok(room)) => error(StatusCode::NOT_FOUND, "room_not_live", &format!("nobody publishes {room}")),
    }
}
