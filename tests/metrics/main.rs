//! What a node counts, as Prometheus scrapes it: one module a promise.

mod a_run_is_counted;
mod documents_are_complete;
mod hls_viewers_are_counted;
mod rooms_are_bounded;
mod scrapes_are_answered;
mod settings_are_checked;

use synctv_testkit::server::TestServer;

/// Starts a server with metrics, and further flags.
fn server(flags: &[&str]) -> TestServer {
    TestServer::start(&[&["--metrics-addr", "127.0.0.1:0"], flags].concat())
}
