//! The beginning of a segment.

use crate::hls::container::Lead;

/// The beginning of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beginning {
    pub(super) lead: Lead,
    pub(super) first_ms: i64,
    pub(super) independent: bool,
}
