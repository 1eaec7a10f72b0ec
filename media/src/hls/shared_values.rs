//! Values that frames share, in a state.

use std::{collections::HashMap, sync::Arc};

use crate::upgrade::StateError;

/// Values behind an [`Arc`], each once however many frames share it: a segment may have thousands of frames with one description.
pub(super) struct SharedValues<'a, T> {
    places: HashMap<*const T, u32>,
    values: Vec<&'a T>,
}

impl<'a, T> SharedValues<'a, T> {
    /// No values.
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), values: Vec::new() }
    }

    /// The place of a value, which is added unless it is there.
    pub(super) fn put(&mut self, value: &'a Arc<T>) -> u32 {
        let next = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(Arc::as_ptr(value)).or_insert(next);
        if place == next {
            self.values.push(value);
        }
        place
    }

    /// The values by their places.
    pub(super) fn into_values(self) -> Vec<&'a T> {
        self.values
    }
}

/// The value at a place.
pub(super) fn shared_at<T>(values: &[Arc<T>], place: u32) -> Result<Arc<T>, StateError> {
    let value = usize::try_from(place).ok().and_then(|place| values.get(place));
    value.cloned().ok_or(StateError::Invalid { part: "a segmenter", reason: "a frame lacks its description" })
}
