//! Refusals that do not go through the web framework.

use std::{io, time::Duration};

use actix_web::http::StatusCode;
use serde_json::json;
use synctv_actors::wire::Wire;
use synctv_media::access::Refusal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long one who is refused may take to read why.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Says 503, with a word for programs and a sentence for people.
pub(super) async fn refuse(wire: Wire, code: &str, message: &str) {
    say(wire, StatusCode::SERVICE_UNAVAILABLE, "Retry-After: 5\r\n", code, message).await;
}

/// Refuses access.
pub(super) async fn refuse_access(wire: Wire, refusal: &Refusal) {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
    let header = match (status, refusal.retry_after_s()) {
        (StatusCode::UNAUTHORIZED, _) => "WWW-Authenticate: Bearer\r\n".to_owned(),
        (_, Some(retry_after_s)) => format!("Retry-After: {retry_after_s}\r\n"),
        (_, None) => String::new(),
    };
    say(wire, status, &header, refusal.code(), &refusal.to_string()).await;
}

/// Answers and closes. To close on a request that was not read would be a reset, which overtakes the answer.
async fn say(mut wire: Wire, status: StatusCode, header: &str, code: &str, message: &str) {
    let body = json!({ "error": code, "message": message }).to_string();
    let response = format!(
        "HTTP/1.1 {} {}\r\n\
         Content-Type: application/json\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         Access-Control-Allow-Origin: *\r\n\
         {header}\
         Connection: close\r\n\r\n{body}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    );
    let mut ignored = [0; 1024];
    let said = async {
        wire.write_all(response.as_bytes()).await?;
        wire.shutdown().await?;
        while wire.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether it was read is the peer's affair.
    let _ = tokio::time::timeout(REFUSAL_TIME, said).await;
}
