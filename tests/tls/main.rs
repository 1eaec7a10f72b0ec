//! The TLS port: one module a promise.

mod certificates_are_reloaded;
mod garbage_harms_no_other_peer;
mod hls_over_http_2;
mod https_has_everything;
mod mistakes_are_explained;
mod real_encoders_use_rtmps;
mod settings_are_checked;
mod slow_viewers_skip_ahead;

use std::{net::SocketAddr, process::Command};

use synctv_testkit::{
    flv::FlvViewer,
    rtmp::{Client, Refused, RtmpPeer},
    server::TestServer,
    tls::TestAuthority,
};

/// A server with a TLS port.
fn start(authority: &TestAuthority, flags: &[&str]) -> TestServer {
    TestServer::start(&with(authority, flags).iter().map(String::as_str).collect::<Vec<_>>())
}

fn start_with_hls(authority: &TestAuthority) -> TestServer {
    TestServer::with_hls(&with(authority, &[]).iter().map(String::as_str).collect::<Vec<_>>())
}

fn with(authority: &TestAuthority, flags: &[&str]) -> Vec<String> {
    let flags = flags.iter().map(|flag| (*flag).to_owned());
    authority.flags().into_iter().chain(flags).collect()
}

fn publish(authority: &TestAuthority, server: &TestServer, room: &str) -> Result<RtmpPeer, Refused> {
    RtmpPeer::start(authority.dial(server.tls()), Client::publisher("live", room))
}

fn watch(authority: &TestAuthority, server: &TestServer, room: &str) -> FlvViewer {
    FlvViewer::open_on(authority.dial(server.tls()), &format!("/{room}.flv"))
}

/// curl, which trusts the authority only.
fn curl(authority: &TestAuthority) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail-with-body", "--cacert"]);
    command.arg(authority.certificate_of_authority());
    command
}

/// By name: the authority's certificate is for that.
fn https(server: SocketAddr, path: &str) -> String {
    format!("https://localhost:{}{path}", server.port())
}
