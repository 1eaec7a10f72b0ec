//! Refusals that do not go through the web framework.

use std::{io, time::Duration};

use synctv_actors::wire::Wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::api_error::ApiError;

/// Time limit for a refused client to read the reason.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Says no, in JSON. To close on a request that was not read would be a reset, which overtakes the answer.
pub(super) async fn refuse(mut wire: Wire, refusal: &ApiError) {
    let response = refusal.text();
    let mut ignored = [0; 1024];
    let said = async {
        wire.write_all(response.as_bytes()).await?;
        wire.shutdown().await?;
        while wire.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // The peer may not read it.
    let _ = tokio::time::timeout(REFUSAL_TIME, said).await;
}
