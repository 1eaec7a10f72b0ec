//! The files of the page, and what is made of them once.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use synctv_actors::gzip::{Effort, gzip};

/// A file under `/assets/`, or a page.
pub(super) struct Asset {
    pub name: &'static str,
    pub content_type: &'static str,
    pub lifetime: Lifetime,
    pub bytes: &'static [u8],
    encoded: OnceLock<Arc<Encoded>>,
}

/// Time that a browser may cache a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Its name has its version.
    Immutable,
    /// It changes with the server.
    Revalidated,
}

/// A file's entity tag and headers.
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
pub(super) static CONSOLE: Asset = asset!("console.html", HTML, Revalidated);
pub(super) static WATCH: Asset = asset!("watch.html", HTML, Revalidated);
pub(super) static ASSETS: [Asset; 44] = [
    asset!("style.css", CSS, Revalidated),
    asset!("console.css", CSS, Revalidated),
    asset!("console.js", JAVASCRIPT, Revalidated),
    asset!("room-warnings.js", JAVASCRIPT, Revalidated),
    asset!("players/uplot-1.6.32.js", JAVASCRIPT, Immutable),
    asset!("players/uplot-1.6.32.css", CSS, Immutable),
    asset!("icon.svg", SVG, Revalidated),
    asset!("api.js", JAVASCRIPT, Revalidated),
    asset!("codecs.js", JAVASCRIPT, Revalidated),
    asset!("controls.js", JAVASCRIPT, Revalidated),
    asset!("credential.js", JAVASCRIPT, Revalidated),
    asset!("dom.js", JAVASCRIPT, Revalidated),
    asset!("handover.js", JAVASCRIPT, Revalidated),
    asset!("index.js", JAVASCRIPT, Revalidated),
    asset!("playback.js", JAVASCRIPT, Revalidated),
    asset!("playback/flv-cache.js", JAVASCRIPT, Revalidated),
    asset!("playback/flv-request.js", JAVASCRIPT, Revalidated),
    asset!("playback/flv-script.js", JAVASCRIPT, Revalidated),
    asset!("playback/flv-still.js", JAVASCRIPT, Revalidated),
    asset!("playback/flv-tags.js", JAVASCRIPT, Revalidated),
    asset!("playback/flv.js", JAVASCRIPT, Revalidated),
    asset!("playback/hls-addresses.js", JAVASCRIPT, Revalidated),
    asset!("playback/hls.js", JAVASCRIPT, Revalidated),
    asset!("playback/library.js", JAVASCRIPT, Revalidated),
    asset!("playback/live-edge.js", JAVASCRIPT, Revalidated),
    asset!("playback/mpegts-loader.js", JAVASCRIPT, Revalidated),
    asset!("playback/mpegts-placement.js", JAVASCRIPT, Revalidated),
    asset!("playback/native-hls.js", JAVASCRIPT, Revalidated),
    asset!("playback/refusal.js", JAVASCRIPT, Revalidated),
    asset!("playback/track-watch.js", JAVASCRIPT, Revalidated),
    asset!("playback/webrtc-offer.js", JAVASCRIPT, Revalidated),
    asset!("playback/webrtc-statistics.js", JAVASCRIPT, Revalidated),
    asset!("playback/webrtc.js", JAVASCRIPT, Revalidated),
    asset!("playback/whep.js", JAVASCRIPT, Revalidated),
    asset!("protocols.js", JAVASCRIPT, Revalidated),
    asset!("retry.js", JAVASCRIPT, Revalidated),
    asset!("screen.js", JAVASCRIPT, Revalidated),
    asset!("situation.js", JAVASCRIPT, Revalidated),
    asset!("still.js", JAVASCRIPT, Revalidated),
    asset!("text.js", JAVASCRIPT, Revalidated),
    asset!("watch-view.js", JAVASCRIPT, Revalidated),
    asset!("watch.js", JAVASCRIPT, Revalidated),
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
        let gzip = gzip(bytes, Effort::Thorough).ok().filter(|gzip| gzip.len() < bytes.len());
        Self { tag: format!("{:016x}", hasher.finish()), gzip }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(asset: &Asset) -> &str {
        std::str::from_utf8(asset.bytes).unwrap()
    }

    fn is_asset(name: &str) -> bool {
        ASSETS.iter().any(|asset| asset.name == name)
    }

    /// A proxy may serve all this under a prefix, so no address begins with a slash.
    #[test]
    fn pages_ask_only_for_files_that_are_here_by_relative_addresses() {
        for (page, assets) in [(&HOME, "assets/"), (&CONSOLE, "assets/"), (&WATCH, "../assets/")] {
            let html = text(page);
            let named: Vec<_> = html.split('"').filter_map(|part| part.strip_prefix(assets)).collect();
            assert_eq!(named.len(), html.matches("assets/").count(), "{}", page.name);
            assert!(named.iter().all(|name| is_asset(name)), "{}: {named:?}", page.name);
            assert!(!html.contains("=\"/"), "{}", page.name);
        }
    }

    #[test]
    fn pages_have_no_inline_script_or_style() {
        for html in [text(&HOME), text(&CONSOLE), text(&WATCH)] {
            assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains(" onclick="));
        }
    }

    /// A file that is missing here would fail only in a browser. Types are for the checker and not served.
    #[test]
    fn scripts_ask_only_for_files_that_are_here() {
        for asset in ASSETS.iter().filter(|asset| !asset.name.starts_with("players/")) {
            let folder = asset.name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let code = text(asset).lines().filter(|line| !line.contains("@import"));
            for name in code.flat_map(|line| line.split('"')).filter(|part| part.ends_with(".js")) {
                assert!(is_asset(&resolve(folder, name)), "{} asks for {name}", asset.name);
            }
        }
    }

    /// The asset that a script in `folder` means: `./NAME`, `../NAME`, or the name of a library.
    fn resolve(folder: &str, name: &str) -> String {
        match name.strip_prefix("./") {
            Some(name) if !folder.is_empty() => format!("{folder}/{name}"),
            Some(name) => name.to_owned(),
            None => name.trim_start_matches("../").to_owned(),
        }
    }

    #[test]
    fn texts_are_compressed_under_tags_of_their_own() {
        let (home, watch) = (HOME.encoded(), WATCH.encoded());
        assert!(home.gzip.as_ref().is_some_and(|gzip| gzip.len() < HOME.bytes.len()));
        assert_ne!(home.tag, watch.tag);
        assert_eq!(Encoded::of(HOME.bytes).tag, home.tag);
    }
}
