//! Bad settings end the start with a line that names them.

use std::net::{SocketAddr, UdpSocket};

use synctv_testkit::{
    http::request,
    server::{TestServer, program},
    socket::hold_udp_port,
};

fn refused(name: &str, value: &str) -> (Option<i32>, String) {
    let output = program().env(name, value).output().expect("the server runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_bad_value_is_named() {
    for (name, value) in [
        ("RTC_ADDR", "nowhere"),
        ("RTC_HOSTS", "http://a"),
        ("RTC_VIEWERS_MAX", "0"),
        ("RTC_RTX_PACKETS", "1"),
        ("RTC_AUDIO_KBPS", "5"),
    ] {
        let (code, text) = refused(name, value);
        assert!(code == Some(2) && text.contains(name) && text.contains(value), "{text}");
    }
}

#[test]
fn a_bad_server_is_named_without_its_password() {
    let (code, text) = refused("RTC_ICE_SERVERS", "turn:user:a-password");
    assert!(code == Some(2) && text.contains("RTC_ICE_SERVERS") && !text.contains("a-password"), "{text}");
}

#[test]
fn several_servers_start_on_one_host_though_one_has_the_default_port() {
    let _taken = hold_udp_port(SocketAddr::from(([0, 0, 0, 0], 8189)));
    let mut command = program();
    command.env_remove("RTC_ADDR");
    let server = TestServer::of(command);
    let line = server.log.find("WebRTC is off", |line| line.text("msg").starts_with("WebRTC is off"));
    assert_eq!(line.text("address"), "0.0.0.0:8189");
    let info = request(server.http, "GET", "/api/v1/server").json();
    assert_eq!(info["webrtc"], false);
}

#[test]
fn a_port_that_is_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, text) = refused("RTC_ADDR", &address);
    assert!(code == Some(1) && text.contains("RTC_ADDR") && text.contains(&address), "{text}");
}
