//! Settings of the HLS proxy.

/// What the HLS proxy needs to know.
#[derive(Debug, Clone)]
pub struct HlsProxySettings {
    /// This node's name, told to the nodes that are asked.
    pub node_id: String,
    /// The app of HLS addresses, the same on all nodes.
    pub app: String,
    /// How much memory segments of other nodes may take, in bytes.
    pub cache_max_bytes: usize,
}
