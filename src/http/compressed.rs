//! Texts that are served plain or as gzip: one resource with two representations, each with its own tag.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{
        Method, StatusCode,
        header::{self, AcceptEncoding, Encoding, EntityTag, Header},
    },
};
use bytes::Bytes;

use super::{absent_body::absent, conditional::is_known, request_view::RequestView};

/// A text and its tag.
pub(super) struct Text<'a> {
    pub tag: &'a str,
    pub plain: Bytes,
}

impl Text<'_> {
    /// Completes a response with the representation that a client takes, or with 304 if it has one already. `gzip` is
    /// asked for only when it is wanted; `None` means that it does not help.
    pub fn answer(
        self,
        request: &impl RequestView,
        mut response: HttpResponseBuilder,
        gzip: impl FnOnce() -> Option<Bytes>,
    ) -> HttpResponse {
        let plain_tag = EntityTag::new_strong(self.tag.to_owned());
        let gzip_tag = EntityTag::new_strong(format!("{}-gzip", self.tag));
        let gzip = takes_gzip(request).then(gzip).flatten();
        let tag = if gzip.is_some() { &gzip_tag } else { &plain_tag };
        response
            .insert_header((header::ETAG, tag.to_string()))
            .insert_header((header::VARY, "Accept-Encoding"));
        if is_known(request, &[&plain_tag, &gzip_tag]) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        if gzip.is_some() {
            response.insert_header((header::CONTENT_ENCODING, "gzip"));
        }
        let body = gzip.unwrap_or(self.plain);
        match *request.method() {
            Method::HEAD => response.body(absent(body.len())),
            _ => response.body(body),
        }
    }
}

/// Returns whether a client asks for gzip by name: programs that cannot read it send a bare `*`.
fn takes_gzip(request: &impl RequestView) -> bool {
    let supported = [Encoding::identity(), Encoding::gzip()];
    AcceptEncoding::parse(request)
        .is_ok_and(|accepted| accepted.negotiate(supported.iter()) == Some(Encoding::gzip()))
}

#[cfg(test)]
mod tests {
    use actix_web::{
        body::{BodySize, MessageBody},
        test::TestRequest,
    };

    use super::*;

    const TEXT: Text<'static> = Text { tag: "a", plain: Bytes::from_static(b"plain") };

    fn header<'r>(response: &'r HttpResponse, name: &header::HeaderName) -> &'r str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn answer(request: TestRequest, gzip: Option<&'static [u8]>) -> HttpResponse {
        TEXT.answer(&request.to_http_request(), HttpResponse::Ok(), || gzip.map(Bytes::from_static))
    }

    fn accepting(encodings: &str) -> TestRequest {
        TestRequest::default().insert_header((header::ACCEPT_ENCODING, encodings))
    }

    #[test]
    fn each_representation_has_its_tag_and_size() {
        for (accepted, gzip, tag, encoding, size_bytes) in [
            ("gzip, br", Some(&b"gz"[..]), "\"a-gzip\"", "gzip", 2),
            ("gzip;q=0", Some(b"gz"), "\"a\"", "", 5),
            ("*", Some(b"gz"), "\"a\"", "", 5),
            ("gzip", None, "\"a\"", "", 5),
        ] {
            for method in [Method::GET, Method::HEAD] {
                let response = answer(accepting(accepted).method(method), gzip);
                assert_eq!(header(&response, &header::ETAG), tag, "{accepted}");
                assert_eq!(header(&response, &header::CONTENT_ENCODING), encoding, "{accepted}");
                assert_eq!(header(&response, &header::VARY), "Accept-Encoding");
                assert_eq!(response.body().size(), BodySize::Sized(size_bytes), "{accepted}");
            }
        }
    }

    #[test]
    fn either_tag_is_known() {
        for tag in ["\"a\"", "\"a-gzip\"", "W/\"x\", \"a\""] {
            let response = answer(accepting("gzip").insert_header((header::IF_NONE_MATCH, tag)), Some(b"gz"));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(header(&response, &header::ETAG), "\"a-gzip\"");
            assert_eq!(header(&response, &header::CONTENT_ENCODING), "");
        }
    }
}
