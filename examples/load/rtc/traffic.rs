//! Datagrams of media.

/// Datagrams of media to one viewer, or to several.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    pub datagrams: f64,
    pub bytes: f64,
}

impl Traffic {
    /// Counts a datagram of this size.
    pub fn note(&mut self, size_bytes: usize) {
        self.datagrams += 1.0;
        self.bytes += size_bytes as f64;
    }

    /// Counts those of another while.
    pub fn add(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
    }

    /// Returns the share of one of so many viewers.
    pub fn shared_by(self, viewers: usize) -> Self {
        let viewers = viewers.max(1) as f64;
        Self { datagrams: self.datagrams / viewers, bytes: self.bytes / viewers }
    }
}
