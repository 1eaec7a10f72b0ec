//! The page to watch on: files that are part of the program.

mod asset;
pub(super) mod policy;

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        Method, StatusCode,
        header::{self, EntityTag, Header, IfNoneMatch},
    },
    web,
};

use self::asset::{ASSETS, Asset, Encoded, HOME, WATCH};
use super::{accept_encoding::takes_gzip, hls::body::absent, reply::error};

/// `GET /`.
pub(super) async fn home(request: &HttpRequest, hls_port: Option<u16>) -> HttpResponse {
    document(request, &HOME, hls_port, policy::Frames::None).await
}

/// `GET /watch/ROOM`. Pages of other sites may have it in a frame.
pub(super) async fn watch(request: &HttpRequest, hls_port: Option<u16>) -> HttpResponse {
    document(request, &WATCH, hls_port, policy::Frames::Any).await
}

/// `GET /assets/NAME`.
pub(super) async fn asset(request: &HttpRequest, name: &str) -> HttpResponse {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => answer(request, asset, HttpResponse::Ok()).await,
        None => error(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path"),
    }
}

async fn document(
    request: &HttpRequest,
    page: &'static Asset,
    hls_port: Option<u16>,
    frames: policy::Frames,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_SECURITY_POLICY, policy::of(hls_port, frames)));
    answer(request, page, response).await
}

async fn answer(
    request: &HttpRequest,
    asset: &'static Asset,
    mut response: HttpResponseBuilder,
) -> HttpResponse {
    let Some(encoded) = encoded(asset).await else {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the file could not be read");
    };
    let gzip = encoded.gzip.clone().filter(|_| takes_gzip(request));
    response
        .content_type(asset.content_type)
        .insert_header((header::ETAG, tag(&encoded, gzip.is_some()).to_string()))
        .insert_header((header::CACHE_CONTROL, asset.lifetime.cache_control()))
        .insert_header((header::VARY, "Accept-Encoding"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"));
    if is_known(request, &encoded) {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    if gzip.is_some() {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    let body = gzip.unwrap_or_else(|| web::Bytes::from_static(asset.bytes));
    if *request.method() == Method::HEAD {
        return response.body(absent(body.len()));
    }
    response.body(body)
}

/// Compressing takes milliseconds, once, which the thread's viewers are not to wait for.
async fn encoded(asset: &'static Asset) -> Option<Arc<Encoded>> {
    match asset.encoded_already() {
        Some(encoded) => Some(encoded),
        None => web::block(|| asset.encoded()).await.ok(),
    }
}

fn tag(encoded: &Encoded, is_gzip: bool) -> EntityTag {
    EntityTag::new_strong(if is_gzip { format!("{}-gzip", encoded.tag) } else { encoded.tag.clone() })
}

fn is_known(request: &HttpRequest, encoded: &Encoded) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => {
            tags.iter().any(|known| [false, true].iter().any(|gzip| known.weak_eq(&tag(encoded, *gzip))))
        }
        Err(_) => false,
    }
}
