//! Which nodes to ask for a playlist or a segment.

use super::{Answer, HlsProxyError, HlsResource, Outcome};
use crate::cluster::origin::{Origin, PastOrigin, Trace};

/// Nodes that are asked for one segment. Numbers tell which one has it; a second one is for a room that came back to a
/// node that had it before.
const PAST_MAX: usize = 2;

/// Where an asset is.
#[derive(Debug)]
pub(super) enum Route {
    /// On the node that publishes the room, or did a moment ago as far as anybody knows.
    Current(Origin),
    /// On one of these, which published the room before.
    Past(Vec<PastNode>),
    /// Nowhere else.
    None(Outcome),
}

/// A node that had the room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PastNode {
    pub node: String,
    pub address: String,
}

/// Decides whom to ask, by what the registry says. If it says too little, the node that answered last is as good as any.
pub(super) fn route(
    resource: &HlsResource,
    trace: Result<Trace, HlsProxyError>,
    last_origin: Option<Origin>,
) -> Route {
    let trace = match (trace, last_origin) {
        (Ok(trace), last_origin) if trace.current.is_none() && trace.holders.is_empty() => {
            return last_origin.map_or(Route::None(Ok(Answer::Nowhere)), Route::Current);
        }
        (Ok(trace), _) => trace,
        (Err(_), Some(origin)) => return Route::Current(origin),
        (Err(error), None) => return Route::None(Err(error)),
    };
    match resource {
        HlsResource::Playlist { .. } => playlist_route(trace),
        HlsResource::Segment { name, .. } => segment_route(trace, name.sequence),
    }
}

/// No node has a newer playlist than the last one that had the room.
fn playlist_route(trace: Trace) -> Route {
    match (trace.current, trace.holders.last()) {
        (Some(origin), _) => Route::Current(origin),
        (None, Some(last)) if last.is_own => {
            Route::None(Ok(Answer::Here { from_sequence: last.first_sequence }))
        }
        (None, Some(last)) => match past_node(last) {
            Some(node) => Route::Past(vec![node]),
            None => Route::None(Ok(Answer::Past)),
        },
        (None, None) => Route::None(Ok(Answer::Nowhere)),
    }
}

/// A segment is on the last node whose numbers begin at or below its own.
fn segment_route(trace: Trace, sequence: u64) -> Route {
    let begun = trace.holders.iter().rev().filter(|holder| holder.first_sequence <= sequence);
    let others: Vec<&PastOrigin> = begun.filter(|holder| !holder.is_own).take(PAST_MAX).collect();
    match (trace.current, others.first()) {
        (Some(origin), Some(holder)) if holder.node == origin.node => Route::Current(origin),
        (Some(origin), None) if trace.holders.is_empty() => Route::Current(origin),
        (_, None) => Route::None(Ok(Answer::Nowhere)),
        _ => Route::Past(others.into_iter().filter_map(past_node).collect()),
    }
}

fn past_node(holder: &PastOrigin) -> Option<PastNode> {
    let address = holder.hls.clone().filter(|_| holder.may_answer)?;
    Some(PastNode { node: holder.node.clone(), address })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::origin::NodeAddresses,
        hls::proxy::PlaylistAddress,
        testing::{room, segment_name},
    };

    fn playlist() -> HlsResource {
        HlsResource::Playlist { room: room("r"), address: PlaylistAddress::Index, request: None }
    }

    fn segment(sequence: u64) -> HlsResource {
        HlsResource::Segment { room: room("r"), name: segment_name(sequence) }
    }

    fn origin(node: &str) -> Origin {
        let hls = Some(format!("{node}:3"));
        let addresses = NodeAddresses { rtmp: format!("{node}:1"), httpflv: format!("{node}:2"), hls };
        Origin { node: node.to_owned(), epoch: 1, addresses }
    }

    fn holder(node: &str, first_sequence: u64) -> PastOrigin {
        let hls = Some(format!("{node}:3"));
        PastOrigin { node: node.to_owned(), hls, first_sequence, is_own: node == "own", may_answer: true }
    }

    fn went(
        resource: &HlsResource,
        current: Option<&str>,
        holders: &[PastOrigin],
        last: Option<&str>,
    ) -> String {
        let trace = Trace { current: current.map(origin), is_reserved: false, holders: holders.to_vec() };
        match route(resource, Ok(trace), last.map(origin)) {
            Route::Current(origin) => origin.node,
            Route::Past(nodes) => nodes
                .iter()
                .map(|node| format!("past {} ", node.address))
                .collect::<String>()
                .trim()
                .to_owned(),
            Route::None(Ok(Answer::Nowhere)) => "nowhere".to_owned(),
            Route::None(Ok(Answer::Here { from_sequence })) => format!("here from {from_sequence}"),
            Route::None(Ok(Answer::Past)) => "past".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_playlist_is_where_the_room_is_or_was_last() {
        let both = [holder("a", 100), holder("own", 200)];
        assert_eq!(went(&playlist(), Some("a"), &both, None), "a");
        assert_eq!(went(&playlist(), None, &both, Some("a")), "here from 200");
        let both = [holder("own", 100), holder("b", 200)];
        assert_eq!(went(&playlist(), None, &both, None), "past b:3");
        let gone = [holder("own", 100), PastOrigin { may_answer: false, ..holder("b", 200) }];
        assert_eq!(went(&playlist(), None, &gone, None), "past", "what is here is older");
    }

    #[test]
    fn a_segment_is_where_its_number_was_used() {
        let moved = [holder("a", 100), holder("b", 200)];
        assert_eq!(went(&segment(150), Some("b"), &moved, None), "past a:3");
        assert_eq!(went(&segment(250), Some("b"), &moved, None), "b");
        assert_eq!(went(&segment(50), Some("b"), &moved, None), "nowhere");
        let came_here = [holder("a", 100), holder("own", 200)];
        assert_eq!(went(&segment(150), None, &came_here, None), "past a:3");
        let back = [holder("a", 100), holder("own", 200), holder("b", 300), holder("a", 400)];
        assert_eq!(went(&segment(350), Some("a"), &back, None), "past b:3 past a:3");
        assert_eq!(went(&segment(250), Some("a"), &back, None), "a", "it is not here any more");
    }

    #[test]
    fn while_nothing_is_known_the_last_node_is_asked() {
        for resource in [playlist(), segment(1)] {
            assert_eq!(went(&resource, None, &[], Some("a")), "a");
            assert_eq!(went(&resource, None, &[], None), "nowhere");
            assert_eq!(went(&resource, Some("b"), &[], Some("a")), "b");
        }
        let unknown = route(&playlist(), Err(HlsProxyError::Registry), Some(origin("a")));
        assert!(matches!(unknown, Route::Current(origin) if origin.node == "a"));
        let unknown = route(&playlist(), Err(HlsProxyError::Registry), None);
        assert!(matches!(unknown, Route::None(Err(HlsProxyError::Registry))));
    }
}
