//! A live-streaming server: RTMP in; HTTP-FLV, HLS and WebRTC out.
//!
//! [`run`] wires the listeners to the actors, and reads from top to bottom.

pub mod access;
mod cluster;
pub mod config;
pub mod console;
pub mod drain;
#[cfg(any(test, feature = "testing"))]
pub mod fuzzing;
pub mod http;
mod line_limit;
pub mod listeners;
pub mod log;
pub mod metrics;
mod node;
mod node_call;
mod ports;
mod refusal_log;
pub mod rtmp;
mod run_error;
mod serve;
mod signals;
pub mod tls;
pub mod upgrade;
pub mod webrtc;

use actix_server::Server;

pub use crate::{cluster::Place, run_error::RunError};
use crate::{
    config::Config,
    listeners::Listeners,
    node::{Node, NodeOrders},
    serve::{raise_open_files_limit, serve},
    signals::SignalThread,
    upgrade::{Program, Taken},
};

/// Starts the ports of a node whose place in its cluster the caller decides. There are no signals and no drain: the caller
/// stops the server.
pub async fn start(config: &Config, listeners: Listeners, place: Place) -> Result<Server, RunError> {
    let node = Node::start(config, place, NodeOrders::default(), None)?;
    node.open_storage(config).await?;
    let (server, _) = node.listen(config, listeners)?;
    Ok(server.run())
}

/// Serves until a signal to stop.
pub fn run(config: Config) -> Result<(), RunError> {
    let signal_thread = SignalThread::start().map_err(RunError::Server)?;
    raise_open_files_limit(config.limits.max_connections);
    let taken = if config.take_handover { Taken::from_stdin() } else { None };
    let state = taken.as_ref().and_then(|taken| taken.state.as_ref());
    let listeners = match state {
        Some((state, parked)) => Listeners::take_over(&config, &state.listeners, parked)?,
        None => Listeners::bind(&config)?,
    };
    let program = Program::of_this_process().map_err(RunError::Server)?;
    actix_rt::System::new().block_on(serve(config, listeners, Some((program, signal_thread)), taken))
}

/// Like [`run`], on listeners that are bound already. Such a server cannot be upgraded in place: another program would not
/// know of them.
pub fn run_on(config: Config, listeners: Listeners) -> Result<(), RunError> {
    actix_rt::System::new().block_on(serve(config, listeners, None, None))
}
