//! Refusals and ends of connections that do not go through the web framework.

use std::{io, time::Duration};

use synctv_actors::wire::Wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::api_error::ApiError;

/// Time limit for a client to read why it is refused, and to close its side of a connection that ends.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Sends a refusal, in JSON. To close on a request that was not read would be a reset, which overtakes the answer.
pub(super) async fn refuse(mut wire: Wire, refusal: &ApiError) {
    let response = refusal.text();
    let said = async {
        wire.write_all(response.as_bytes()).await?;
        close(&mut wire).await
    };
    // The peer may not read it.
    let _ = tokio::time::timeout(REFUSAL_TIME, said).await;
}

/// Closes a connection whose last answer was written, once the peer closes it too: what it sends meanwhile would make a
/// reset of it, as above.
pub(super) async fn close_behind_answer(mut wire: Wire) {
    let _ = tokio::time::timeout(REFUSAL_TIME, close(&mut wire)).await;
}

async fn close(wire: &mut Wire) -> io::Result<()> {
    let mut ignored = [0; 1024];
    wire.shutdown().await?;
    while wire.read(&mut ignored).await? > 0 {}
    Ok(())
}
