//! The files of the page, and what is made of them once.

use std::{
    hash::{DefaultHasher, Hasher},
    io::Write,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// A file under `/assets/`, or a page.
pub(super) struct Asset {
    pub name: &'static str,
    pub content_type: &'static str,
    pub lifetime: Lifetime,
    pub bytes: &'static [u8],
    encoded: OnceLock<Arc<Encoded>>,
}

/// How long a browser may keep a file without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Its name has its version.
    Immutable,
    /// It changes with the server.
    Revalidated,
}

/// What a file is told by and sent as.
#[derive(Debug)]
pub(super) struct Encoded {
    /// Of its contents.
    pub tag: String,
    /// Compressed; `None` if that does not help.
    pub gzip: Option<Bytes>,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($name:literal, $content_type:expr, $lifetime:ident) => {
        Asset {
            name: $name,
            content_type: $content_type,
            lifetime: Lifetime::$lifetime,
            bytes: include_bytes!(concat!("../../../assets/", $name)),
            encoded: OnceLock::new(),
        }
    };
}

pub(super) static HOME: Asset = asset!("index.html", HTML, Revalidated);
pub(super) static WATCH: Asset = asset!("watch.html", HTML, Revalidated);
pub(super) static ASSETS: [Asset; 10] = [
    asset!("style.css", CSS, Revalidated),
    asset!("icon.svg", SVG, Revalidated),
    asset!("api.js", JAVASCRIPT, Revalidated),
    asset!("index.js", JAVASCRIPT, Revalidated),
    asset!("watch.js", JAVASCRIPT, Revalidated),
    asset!("playback.js", JAVASCRIPT, Revalidated),
    asset!("codecs.js", JAVASCRIPT, Revalidated),
    asset!("retry.js", JAVASCRIPT, Revalidated),
    asset!("players/mpegts-1.8.2.js", JAVASCRIPT, Immutable),
    asset!("players/hls-light-1.7.4.js", JAVASCRIPT, Immutable),
];

impl Asset {
    /// If it was made before.
    pub fn encoded_already(&self) -> Option<Arc<Encoded>> {
        self.encoded.get().cloned()
    }

    /// Made by the first who asks.
    pub fn encoded(&self) -> Arc<Encoded> {
        self.encoded.get_or_init(|| Arc::new(Encoded::of(self.bytes))).clone()
    }
}

impl Lifetime {
    pub fn cache_control(self) -> &'static str {
        match self {
            Lifetime::Immutable => "public, max-age=31536000, immutable",
            Lifetime::Revalidated => "no-cache",
        }
    }
}

impl Encoded {
    fn of(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        let gzip = gzip(bytes).filter(|gzip| gzip.len() < bytes.len());
        Self { tag: format!("{:016x}", hasher.finish()), gzip }
    }
}

fn gzip(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::default());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_ask_for_nothing_that_is_not_here() {
        // Relative to where the pages are: a proxy may put all of them under a prefix.
        for (page, assets) in [(&HOME, "assets/"), (&WATCH, "../assets/")] {
            let html = std::str::from_utf8(page.bytes).unwrap();
            let named = html.split('"').filter_map(|part| part.strip_prefix(assets));
            assert!(named.clone().count() >= 3 && !html.contains("=\"/"), "{}", page.name);
            let missing: Vec<_> =
                named.filter(|name| !ASSETS.iter().any(|asset| asset.name == *name)).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", page.name);
            assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains(" onclick="));
        }
    }

    #[test]
    fn texts_are_compressed_and_told_apart() {
        let (home, watch) = (HOME.encoded(), WATCH.encoded());
        assert!(home.gzip.as_ref().is_some_and(|gzip| gzip.len() < HOME.bytes.len()));
        assert_ne!(home.tag, watch.tag);
        assert_eq!(Encoded::of(HOME.bytes).tag, home.tag);
    }
}
