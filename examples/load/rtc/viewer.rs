//! A viewer who connects and leaves the media unread: what it would do with them is not the server's cost.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::session::Session;
use crate::stage::Stage;

/// Interval of keep-alive packets. The server gives a silent viewer up after 15 s.
const INTERVAL: Duration = Duration::from_secs(2);

/// The observations of one viewer.
#[derive(Debug, Default)]
pub struct Watched {
    /// From the request to a connection that carries media.
    pub connected: Option<Duration>,
    /// Datagrams of media that the kernel had room for.
    pub datagrams: u64,
    /// The reason it could not watch to the end.
    pub fault: Option<String>,
}

/// Watches a room until the load is over.
pub async fn watch(http: SocketAddr, room: String, stages: watch::Receiver<Stage>) -> Watched {
    let mut watched = Watched::default();
    if let Err(error) = receive(http, &room, stages, &mut watched).await {
        watched.fault = Some(error.to_string());
    }
    watched
}

async fn receive(
    http: SocketAddr,
    room: &str,
    mut stages: watch::Receiver<Stage>,
    watched: &mut Watched,
) -> Result<(), Box<dyn std::error::Error>> {
    let asked = Instant::now();
    let mut session = Session::open(http, room).await?;
    session.connect().await?;
    watched.connected = Some(asked.elapsed());
    session.leave_unread()?;
    while *stages.borrow() != Stage::Over {
        watched.datagrams += session.drain()?;
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = stages.wait_for(|stage| *stage == Stage::Over) => {}
        }
    }
    Ok(())
}
