//! A drain is ordered by signal or by an administrator. Newcomers are let in for as long as balancers may send them, and
//! publishers stay for as long as they may.

use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{Response, read_response, request_with, send_get},
    redis::Redis,
    rtmp::RtmpPeer,
    server::TestServer,
    socket::{dial, read_to_close},
    wait::poll_until,
};

use crate::{LONG_LEASE, hls_node::HlsNode, node};

const ADMIN_TOKEN: &str = "the administrator of the tests, 32 bytes or more";

fn order(server: &TestServer, token: &str) -> Response {
    let authorization = format!("Bearer {token}");
    request_with(server.http, "POST", "/api/v1/server/drain", &[("Authorization", &authorization)])
}

fn wait_until_it_drains(server: &TestServer) {
    poll_until("it drains", || {
        let ready = request_with(server.http, "GET", "/readyz", &[]);
        (ready.status == 503 && ready.text().contains("draining")).then_some(())
    });
}

/// Returns `true` if the answer to a request for a playlist closes the connection.
fn closes_connections(server: &TestServer) -> bool {
    let mut socket = dial(server.hls().address());
    send_get(&mut socket, "/live/r/index.m3u8");
    read_response(&mut socket, &mut Vec::new(), false).header("connection") == "close"
}

#[test]
fn an_administrator_orders_one() {
    let redis = Redis::start(&[]);
    let flags = ["--admin-token", ADMIN_TOKEN];
    let n1 = node("n1", &redis.url(), &flags);
    assert_eq!(order(&n1, "another token, which has 32 bytes or more").status, 401);
    assert_eq!(request_with(n1.http, "DELETE", "/api/v1/server/drain", &[]).status, 405);
    assert_eq!(request_with(n1.http, "GET", "/readyz", &[]).status, 200);
    assert_eq!(order(&n1, ADMIN_TOKEN).status, 202);
    assert_eq!(n1.wait_for_exit().code(), Some(0));

    let n2 = node("n2", &redis.url(), &[]);
    assert_eq!(order(&n2, ADMIN_TOKEN).status, 404, "nothing can be administered");
}

#[test]
fn newcomers_are_let_in_while_balancers_may_send_them() {
    let redis = Redis::start(&[]);
    let n1 = HlsNode::start_with("n1", &redis, &["--drain-delay-s", "3600"]);
    assert!(!closes_connections(&n1.server));
    let mut waiting = dial(n1.server.http);
    send_get(&mut waiting, "/api/v1/server");
    assert_eq!(read_response(&mut waiting, &mut Vec::new(), false).status, 200);
    n1.server.signal("TERM");
    assert_eq!(read_to_close(&mut waiting), b"", "no request is to come over it");
    wait_until_it_drains(&n1.server);
    let mut publisher = RtmpPeer::publish(&n1.server, "r");
    publisher.send(&frames::keyframe(0, 1));
    FlvViewer::open(&n1.server, "r").frames_until(&frames::keyframe(0, 1));
    assert!(closes_connections(&n1.server));
    n1.server.signal("TERM");
    assert_eq!(n1.server.wait_for_exit().code(), Some(0));
}

#[test]
fn publishers_stay_and_are_watched_everywhere_for_as_long_as_they_may() {
    let redis = Redis::start(&[]);
    let flags = [&LONG_LEASE[..], &["--drain-publishers-s", "3600"]].concat();
    let (n1, n2) = (node("n1", &redis.url(), &flags), node("n2", &redis.url(), &flags));
    let mut publisher = RtmpPeer::publish(&n1, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 1));
    n1.signal("TERM");
    poll_until("it is closed", || RtmpPeer::try_publish(&n1, "other").err());
    let mut viewer = FlvViewer::open(&n2, "r");
    viewer.frames_until(&frames::keyframe(0, 1));
    publisher.send(&frames::keyframe(40, 2));
    viewer.frames_until(&frames::keyframe(40, 2));
    publisher.unpublish();
    assert_eq!(n1.wait_for_exit().code(), Some(0));
}
