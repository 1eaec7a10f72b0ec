//! RefusalLog that do not go through the web framework.

use std::{io, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

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
pub(super) async fn refuse(mut socket: TcpStream, refusal: HttpRefusal<'_>) {
    let response = refusal.response();
    let mut ignored = [0; 1024];
    let said = async {
        socket.write_all(response.as_bytes()).await?;
        socket.shutdown().await?;
        while socket.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether it was read is the peer's affair.
    let _ = tokio::time::timeout(REFUSAL_TIME, said).await;
}
