//! RefusalLog that do not go through the web framework.

use std::{io, time::Duration};
use synctv_actors::wire::Wire;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long one who is refused may take to read why.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Says 503, with a word for programs and a sentence for people. To close on a request that was not read would be a
/// reset, which overtakes the answer.
pub(super) async fn refuse(mut wire: Wire, code: &str, message: &str) {
    let body = json!({ "error": code, "message": message }).to_string();
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\n\
         Content-Type: application/json\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         Access-Control-Allow-Origin: *\r\n\
         Retry-After: 5\r\n\
         Connection: close\r\n\r\n{body}",
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
