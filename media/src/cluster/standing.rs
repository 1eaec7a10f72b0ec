//! The facts of a node's lease by which others choose where to send publishers and players.

use std::{fmt, sync::Arc};

use thiserror::Error;

/// The longest address, in bytes.
const URL_MAX_BYTES: usize = 512;

/// The part of a lease that is about the process rather than its ports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeStanding {
    /// The start of the process, by its own clock in milliseconds since 1970.
    pub started_ms: u64,
    /// The node sends its publishers and viewers to others, and stops then.
    pub is_draining: bool,
    /// The address at which encoders and players reach this very node, if there is one.
    pub rtmp_url: Option<NodeUrl>,
}

impl NodeStanding {
    /// Returns the address of the node that publishers and players of a draining node are sent to: of those that can be
    /// reached and do not drain, the one that started last. In a rolling restart it is the last to move them again.
    pub fn next_url<'a>(nodes: impl IntoIterator<Item = &'a Self>) -> Option<&'a NodeUrl> {
        let staying = nodes.into_iter().filter(|node| !node.is_draining);
        let reachable = staying.filter_map(|node| Some((node.started_ms, node.rtmp_url.as_ref()?)));
        reachable.max_by_key(|(started_ms, url)| (*started_ms, url.as_str())).map(|(_, url)| url)
    }
}

/// The RTMP address of a single node, `rtmp://HOST[:PORT]/APP` or with `rtmps`. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeUrl(Arc<str>);

/// The reason a text is no [`NodeUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is not rtmp:// or rtmps://HOST[:PORT]/APP with at most {URL_MAX_BYTES} characters")]
pub struct NodeUrlError;

impl NodeUrl {
    /// Checks `text`, which may come from another node. It has no space, because it is a word in a row of the table.
    ///
    /// ```
    /// use synctv_media::cluster::standing::NodeUrl;
    ///
    /// assert!(NodeUrl::new("rtmp://n1.example.com/live").is_ok());
    /// assert!(NodeUrl::new("rtmp://n1.example.com").is_err());
    /// ```
    pub fn new(text: &str) -> Result<Self, NodeUrlError> {
        let rest = text.strip_prefix("rtmp://").or_else(|| text.strip_prefix("rtmps://"));
        let (host, app) = rest.and_then(|rest| rest.split_once('/')).ok_or(NodeUrlError)?;
        let is_good = !host.is_empty()
            && !app.is_empty()
            && text.len() <= URL_MAX_BYTES
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#');
        is_good.then(|| Self(text.into())).ok_or(NodeUrlError)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the connection there is encrypted.
    pub fn is_tls(&self) -> bool {
        self.0.starts_with("rtmps:")
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(started_ms: u64, is_draining: bool, url: &str) -> NodeStanding {
        NodeStanding { started_ms, is_draining, rtmp_url: NodeUrl::new(url).ok() }
    }

    #[test]
    fn the_newest_node_that_stays_and_can_be_reached_is_the_next() {
        let next = |nodes: &[NodeStanding]| NodeStanding::next_url(nodes).map(NodeUrl::to_string);
        let [old, new] = ["rtmp://old/live", "rtmps://new/live"];
        assert_eq!(next(&[node(1, false, old), node(2, false, new)]).as_deref(), Some(new));
        assert_eq!(next(&[node(1, false, old), node(2, true, new)]).as_deref(), Some(old));
        assert_eq!(next(&[node(1, false, old), node(2, false, "")]).as_deref(), Some(old));
        assert_eq!(next(&[node(1, true, old), node(2, false, "")]), None);
        assert_eq!(next(&[]), None);
    }

    #[test]
    fn an_address_is_one_word_with_a_host_and_an_app() {
        for text in ["rtmp://h/live", "rtmps://[::1]:1935/live"] {
            assert_eq!(NodeUrl::new(text).map(|url| url.to_string()), Ok(text.to_owned()));
        }
        let long = format!("rtmp://h/{}", "a".repeat(URL_MAX_BYTES));
        for text in [
            "",
            "h/live",
            "http://h/live",
            "rtmp://h",
            "rtmp://h/",
            "rtmp:///live",
            "rtmp://h/a b",
            "rtmp://h/a?k=1",
            &long,
        ] {
            assert_eq!(NodeUrl::new(text), Err(NodeUrlError), "{text}");
        }
    }
}
