//! Reports of other nodes.

use serde_json::value::RawValue;
use synctv_actors::access::NodeKeys;
use thiserror::Error;

use crate::node_call::{NodeAnswer, NodeCall, NodeCallError};

/// The path of a node's own report.
pub(crate) const PATH: &str = "/api/v1/nodes/this";

/// The reason a node gave no report.
#[derive(Debug, Error)]
pub(super) enum PeerError {
    #[error(transparent)]
    Call(#[from] NodeCallError),
    #[error("it answers with status {0}")]
    Refused(u16),
    #[error("its answer cannot be read")]
    Unreadable,
}

/// Asks the node whose web port is at `address` for its report.
pub(super) async fn ask(address: &str, keys: &NodeKeys) -> Result<Box<RawValue>, PeerError> {
    report_in(&NodeCall { method: "GET", path: PATH, headers: &[], body: "" }.send(address, keys).await?)
}

fn report_in(answer: &NodeAnswer) -> Result<Box<RawValue>, PeerError> {
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|_| PeerError::Unreadable),
        status => Err(PeerError::Refused(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_report_is_passed_on() {
        let report = |status, body: &str| {
            let report = report_in(&NodeAnswer { status, body: body.into() });
            report.map(|report| report.get().to_owned()).map_err(|error| error.to_string())
        };
        assert_eq!(report(200, "{\"node\":\"n\"}"), Ok("{\"node\":\"n\"}".to_owned()));
        assert_eq!(report(401, "{}"), Err("it answers with status 401".to_owned()));
        for broken in ["{\"node\":", ""] {
            assert_eq!(report(200, broken), Err("its answer cannot be read".to_owned()), "{broken}");
        }
    }
}
