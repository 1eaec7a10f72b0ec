//! A handover on the side of the program that takes it.

use log::error;
use serde::{Deserialize, Serialize};
use synctv_actors::upgrade::{NodeState, lot::Parked, states::ClaimsState};
use synctv_media::upgrade::{StateError, decode};

use super::{handover::Received, program::close_stdin};
use crate::{console::HistoryState, listeners::ListenersState, metrics::MetricsState};

/// The state of the process.
#[derive(Serialize, Deserialize)]
pub(crate) struct ProcessState {
    /// The node's name.
    pub node_id: String,
    /// The time at which everything stopped, in milliseconds since 1970.
    pub parked_unix_ms: u64,
    /// The sockets that it listens on.
    pub listeners: ListenersState,
    /// Its rooms.
    pub node: NodeState,
    /// Its counts.
    pub metrics: MetricsState,
    /// The console's charts.
    pub history: HistoryState,
}

/// A handover from the program that ran in this process before.
pub(crate) struct Taken {
    /// The incarnation, by which other nodes know the process.
    pub incarnation: u64,
    /// Its state, if this program can read it.
    pub state: Option<(ProcessState, Parked)>,
}

impl Taken {
    /// Takes the handover that waits at stdin. A state that this program cannot read is given up, and its connections are
    /// closed: the server starts as it does without one.
    pub fn from_stdin() -> Option<Self> {
        let received = Received::take(std::io::stdin());
        close_stdin();
        let Received { incarnation, state, state_bytes, descriptors } = received
            .inspect_err(|reason| error!(reason:% = reason; "no handover: the server starts anew"))
            .ok()?;
        let connections = descriptors.len();
        let state: Result<(ProcessState, _), StateError> = decode(state, state_bytes);
        let state = state.inspect_err(|reason| {
            error!(reason:% = reason, connections = connections;
                "the state of the upgraded server cannot be read: its connections are closed, and the server starts anew");
        });
        let state = state.ok().map(|(state, blobs)| (state, Parked::new(blobs, descriptors)));
        Some(Self { incarnation, state })
    }

    /// The claims that go on.
    pub fn claims(&self) -> ClaimsState {
        self.state.as_ref().map(|(state, _)| state.node.claims.clone()).unwrap_or_default()
    }

    /// The secret of the node.
    pub fn secret(&self) -> Option<&str> {
        self.state.as_ref()?.0.node.secret.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use synctv_media::upgrade::format::{check_format, format_of};

    use super::*;

    /// Beside the format of a node's state, which has a file of its own.
    #[test]
    fn a_format_that_has_changed_has_another_version() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/upgrade/format.txt");
        let of_node = format_of::<NodeState>().unwrap();
        let mut lines = format_of::<ProcessState>().unwrap();
        lines.retain(|line| !of_node.contains(line));
        check_format(&lines, &file).unwrap_or_else(|change| panic!("{change}"));
    }
}
