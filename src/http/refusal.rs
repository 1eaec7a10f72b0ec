//! Refusals that do not go through the web framework.

use std::{io, time::Duration};

use serde_json::json;
use synctv_actors::wire::Wire;
use synctv_media::access;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long one who is refused may take to read why.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Why a request is not served.
#[derive(Debug, Clone, Copy)]
pub(super) struct HttpRefusal<'a> {
    /// The code and its phrase.
    pub status: &'static str,
    /// Lines of their own, each with its end.
    pub headers: &'static str,
    /// A word for programs.
    pub code: &'a str,
    /// A sentence for people.
    pub message: &'a str,
}

impl<'a> HttpRefusal<'a> {
    /// Not now: 503.
    pub fn unavailable(code: &'a str, message: &'a str) -> Self {
        Self { status: "503 Service Unavailable", headers: "Retry-After: 5\r\n", code, message }
    }

    /// Not with this credential, if with any. `message` is the refusal in words.
    pub fn of_access(refusal: &access::Refusal, message: &'a str) -> Self {
        let (status, headers) = match refusal.status() {
            401 => ("401 Unauthorized", "WWW-Authenticate: Bearer\r\n"),
            429 => ("429 Too Many Requests", "Retry-After: 5\r\n"),
            503 => ("503 Service Unavailable", "Retry-After: 5\r\n"),
            _ => ("403 Forbidden", ""),
        };
        Self { status, headers, code: refusal.code(), message }
    }

    fn response(&self) -> String {
        let body = json!({ "error": self.code, "message": self.message }).to_string();
        format!(
            "HTTP/1.1 {}\r\n\
             Content-Type: application/json\r\n\
             Content-Length: {}\r\n\
             Cache-Control: no-store\r\n\
             Access-Control-Allow-Origin: *\r\n\
             {}Connection: close\r\n\r\n{body}",
            self.status,
            body.len(),
            self.headers,
        )
    }
}

/// Says no, in JSON. To close on a request that was not read would be a reset, which overtakes the answer.
pub(super) async fn refuse(mut wire: Wire, refusal: HttpRefusal<'_>) {
    let response = refusal.response();
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
