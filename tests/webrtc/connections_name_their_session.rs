//! A TCP connection at the WebRTC port that does not name a session is closed.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use synctv_testkit::server::TestServer;

use crate::start;

/// Connects to the port whose address the log has, sends `bytes`, and reads to the end.
fn closes_after(server: &TestServer, bytes: &[u8]) {
    let line = server.log.find("the addresses", |line| line.text("msg") == "WebRTC addresses");
    let text = line.text("addresses");
    let address: SocketAddr = text.trim_matches(['[', ']']).parse().expect("it is one");
    let mut stream = TcpStream::connect(address).expect("TCP is accepted there");
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{answer:?}");
}

#[test]
fn whatever_it_sends() {
    let server = start(&[]);
    closes_after(&server, b"GET / HTTP/1.1\r\n\r\n");
    closes_after(&server, &[0, 4, 1, 2, 3, 4]);
    closes_after(&server, &[0xFF, 0xFF, 0, 0]);
    closes_after(&server, &[0, 9]);
    closes_after(&server, &[]);
}
