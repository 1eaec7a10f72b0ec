//! Bad settings end the start with a line that names them.

use std::net::UdpSocket;

use synctv_testkit::server::program;

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
    ] {
        let (code, text) = refused(name, value);
        assert!(code == Some(2) && text.contains(name) && text.contains(value), "{text}");
    }
}

#[test]
fn a_port_that_is_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, text) = refused("RTC_ADDR", &address);
    assert!(code == Some(1) && text.contains("RTC_ADDR") && text.contains(&address), "{text}");
}
