//! The processes that hold leases and claims.

/// A process, distinguished from earlier ones of the same node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    /// The node's name.
    pub node: String,
    /// Another number at each start.
    pub incarnation: u64,
}
