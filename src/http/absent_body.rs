//! Bodies of answers to HEAD.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

/// The body that a GET would have: its size is announced, nothing is sent.
pub(super) fn absent(size_bytes: usize) -> BoxBody {
    BoxBody::new(Absent(size_bytes))
}

struct Absent(usize);

impl MessageBody for Absent {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0 as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}
