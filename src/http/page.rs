//! The page to watch on: files that are part of the program.

mod asset;
pub(super) mod policy;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::header, web};

use self::{
    asset::{ASSETS, Asset, CONSOLE, Encoded, HOME, WATCH},
    policy::HlsOrigin,
};
use super::{api_error::ApiError, compressed::Text};

/// `GET /`.
pub(super) async fn home(request: &HttpRequest, hls: &HlsOrigin) -> Result<HttpResponse, ApiError> {
    document(request, &HOME, hls, policy::Frames::None).await
}

/// `GET /watch/ROOM`. Pages of other sites may have it in a frame.
pub(super) async fn watch(request: &HttpRequest, hls: &HlsOrigin) -> Result<HttpResponse, ApiError> {
    document(request, &WATCH, hls, policy::Frames::Any).await
}

/// `GET /console`.
pub(super) async fn console(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    document(request, &CONSOLE, &HlsOrigin::Same, policy::Frames::None).await
}

/// `GET /assets/NAME`.
pub(super) async fn asset(request: &HttpRequest, name: &str) -> Result<HttpResponse, ApiError> {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => answer(request, asset, HttpResponse::Ok()).await,
        None => Err(ApiError::not_found("there is nothing at this path")),
    }
}

async fn document(
    request: &HttpRequest,
    page: &'static Asset,
    hls: &HlsOrigin,
    frames: policy::Frames,
) -> Result<HttpResponse, ApiError> {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_SECURITY_POLICY, policy::of(hls, frames)));
    answer(request, page, response).await
}

async fn answer(
    request: &HttpRequest,
    asset: &'static Asset,
    mut response: HttpResponseBuilder,
) -> Result<HttpResponse, ApiError> {
    let encoded = encoded(asset).await.ok_or_else(|| ApiError::internal("the file could not be read"))?;
    response
        .content_type(asset.content_type)
        .insert_header((header::CACHE_CONTROL, asset.lifetime.cache_control()))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"));
    let text = Text { tag: &encoded.tag, plain: web::Bytes::from_static(asset.bytes) };
    Ok(text.answer(request, response, || encoded.gzip.clone()))
}

/// Compressing takes milliseconds, once, which the thread's viewers are not to wait for.
async fn encoded(asset: &'static Asset) -> Option<Arc<Encoded>> {
    match asset.encoded_already() {
        Some(encoded) => Some(encoded),
        None => web::block(|| asset.encoded()).await.ok(),
    }
}
