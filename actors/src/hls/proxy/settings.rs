//! Settings of the HLS proxy.

use crate::access::NodeKeys;

/// What the HLS proxy needs to know.
#[derive(Debug, Clone)]
pub struct HlsProxySettings {
    /// Signs requests to other nodes.
    pub nodes: NodeKeys,
    /// The app of HLS addresses, the same on all nodes.
    pub app: String,
}
