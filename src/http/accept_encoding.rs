//! What a client says it can read.

use actix_web::{
    HttpRequest,
    http::header::{AcceptEncoding, Encoding, Header},
};

/// Whether it asks for gzip by name: a bare `*` is what programs say that cannot read it.
pub(super) fn takes_gzip(request: &HttpRequest) -> bool {
    let supported = [Encoding::identity(), Encoding::gzip()];
    AcceptEncoding::parse(request)
        .is_ok_and(|accepted| accepted.negotiate(supported.iter()) == Some(Encoding::gzip()))
}
