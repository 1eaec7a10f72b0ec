//! The nodes to ask for a playlist or a segment.

use super::{Answer, HlsProxyError, HlsResource, Outcome};
use crate::cluster::origin::{Origin, PastOrigin, Trace};

/// Nodes that are asked for one segment because their numbers begin at or below its own. A second one is for a room that came
/// back to a node that had it before.
const BEGUN_MAX: usize = 2;

/// The location of a resource.
#[derive(Debug)]
pub(super) enum Route {
    /// On the node that publishes the room, or did a moment ago as far as is known.
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

/// A segment is on the last node whose numbers begin at or below its own, or on one that had the room later: those may have
/// taken it over, and have used numbers below those that came with their claims. The last one is the likeliest to be there.
fn segment_route(trace: Trace, sequence: u64) -> Route {
    let Trace { current, holders, .. } = trace;
    let begun_count = holders.iter().filter(|holder| holder.first_sequence <= sequence).count();
    let others = holders.iter().take(begun_count).rev().filter(|holder| !holder.is_own).take(BEGUN_MAX);
    match (current, holders.iter().take(begun_count).next_back()) {
        (Some(origin), Some(holder)) if holder.node == origin.node => Route::Current(origin),
        (Some(origin), None) if holders.is_empty() => Route::Current(origin),
        (current, _) => {
            // A playlist that went on many times is below the numbers of all holders that are remembered.
            let later_count = if begun_count > 0 { holders.len() - begun_count } else { 1 };
            let later = holders.iter().rev().take(later_count).filter(|holder| !holder.is_own);
            let mut nodes: Vec<PastNode> = current.and_then(current_node).into_iter().collect();
            for node in later.chain(others).filter_map(past_node) {
                if !nodes.contains(&node) {
                    nodes.push(node);
                }
            }
            if nodes.is_empty() { Route::None(Ok(Answer::Nowhere)) } else { Route::Past(nodes) }
        }
    }
}

fn current_node(origin: Origin) -> Option<PastNode> {
    Some(PastNode { node: origin.node, address: origin.addresses.hls? })
}

/// The address of a node that may still have what it cut.
pub(super) fn past_node(holder: &PastOrigin) -> Option<PastNode> {
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
        assert_eq!(went(&segment(150), Some("b"), &moved, None), "past b:3 past a:3");
        assert_eq!(went(&segment(150), None, &moved, None), "past b:3 past a:3", "b may have taken it over");
        let on = [holder("a", 100), holder("b", 200), holder("c", 300)];
        assert_eq!(went(&segment(150), None, &on, None), "past c:3 past b:3 past a:3");
        assert_eq!(went(&segment(250), Some("b"), &moved, None), "b");
        assert_eq!(went(&segment(50), Some("b"), &moved, None), "past b:3");
        assert_eq!(went(&segment(50), None, &moved, None), "past b:3");
        let came_here = [holder("a", 100), holder("own", 200)];
        assert_eq!(went(&segment(150), None, &came_here, None), "past a:3");
        let back = [holder("a", 100), holder("own", 200), holder("b", 300), holder("a", 400)];
        assert_eq!(went(&segment(350), Some("a"), &back, None), "past a:3 past b:3");
        assert_eq!(
            went(&segment(250), Some("a"), &back, None),
            "past a:3 past b:3",
            "it is not here any more"
        );
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
