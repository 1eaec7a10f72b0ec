//! Settings of the HLS proxy.

use crate::access::NodeKeys;

/// Settings of the HLS proxy.
#[derive(Debug, Clone)]
pub struct HlsProxySettings {
    /// Signs requests to other nodes.
    pub nodes: NodeKeys,
    /// The app of HLS addresses, the same on all nodes.
    pub app: String,
}
