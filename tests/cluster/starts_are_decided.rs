//! A node logs which store it uses, or ends with the reason why it cannot use it.

use synctv_testkit::{
    process::{Ended, run_to_end},
    redis::Redis,
    rtmp::RtmpPeer,
    server::{TestServer, program},
    socket::RefusingPort,
};

use crate::node;

fn run(flags: &[&str]) -> Ended {
    let mut command = program();
    command.args(flags);
    run_to_end(command)
}

fn assert_one_line(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(words.iter().all(|word| ended.stderr.contains(word)), "{ended:?}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_redis_that_is_set_and_unreachable_ends_it() {
    let refusing = RefusingPort::hold();
    let url = format!("redis://:secret@{}/2", refusing.address());
    let ended = run(&["--redis-url", &url]);
    assert_one_line(&ended, 1, &["REDIS_URL", "127.0.0.1", "refused"]);
    assert!(!ended.stderr.contains("secret"));
}

#[test]
fn what_is_no_redis_address_ends_it_with_2() {
    let ended = run(&["--redis-url", "http://:secret@somewhere"]);
    assert_one_line(&ended, 2, &["REDIS_URL", "redis://"]);
    assert!(!ended.stderr.contains("secret"));
}

#[test]
fn a_redis_cluster_ends_it_with_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    let redis = Redis::start(&["--cluster-enabled", "yes", "--dir", path]);
    let ended = run(&["--redis-url", &redis.url()]);
    let port = redis.address().port().to_string();
    assert_one_line(&ended, 1, &["REDIS_URL", &port, "Redis Cluster", "not supported"]);
}

#[test]
fn a_name_in_use_ends_it_with_the_addresses_of_its_holder() {
    let redis = Redis::start(&[]);
    let live = node("n1", &redis.url(), &[]);
    let ended = run(&["--node-id", "n1", "--redis-url", &redis.url()]);
    assert_one_line(&ended, 1, &["NODE_ID=n1", &live.rtmp.to_string(), &live.http.to_string()]);
}

/// Two hosts with the same private address, of which each has the ports.
#[test]
fn a_living_node_at_the_same_addresses_keeps_its_name_and_its_rooms() {
    let redis = Redis::start(&[]);
    // Renewed every 5 s; 2.5 s later, the second process would take it for a dead one's.
    let lease = ["--lease-ttl-ms", "15000"];
    let url = redis.url();
    let identity = ["--node-id", "n1", "--advertise-host", "127.0.0.1", "--redis-url", &url];
    let flags = [&identity[..], &lease].concat();
    let live = TestServer::start(&flags);
    let _publisher = RtmpPeer::publish(&live, "r");
    let elsewhere = |port: u16| format!("127.0.0.2:{port}");
    let (rtmp, http) = (elsewhere(live.rtmp.port()), elsewhere(live.http.port()));
    let ended = run(&[&flags[..], &["--rtmp-addr", &rtmp, "--httpflv-addr", &http]].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let (rtmp, http) = (live.rtmp.to_string(), live.http.to_string());
    let words = ["NODE_ID=n1", &rtmp, &http, "ADVERTISE_HOST"];
    let why = ended.stderr.lines().last().expect("a reason");
    assert!(words.iter().all(|word| why.contains(word)), "{ended:?}");
    assert_eq!(live.log.count(|line| line.text("msg") == "publisher disconnected"), 0);
    let _another = RtmpPeer::publish(&live, "another");
}

#[test]
fn a_start_that_fails_gives_the_name_back() {
    let redis = Redis::start(&[]);
    let hls = ["--hls", "always", "--hls-addr", "127.0.0.1:0", "--hls-storage", "/dev/null/hls"];
    let ended = run(&[&hls[..], &["--node-id", "n1", "--redis-url", &redis.url()]].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("HLS_STORAGE=/dev/null/hls: "), "{ended:?}");
    assert_eq!(redis.number(&["EXISTS", "node:n1"]), 0);
}

#[test]
fn one_line_of_the_log_is_about_whether_it_is_alone() {
    let says = |server: &TestServer, what: &str| server.log.count(|line| line.text("msg").contains(what));
    let alone = TestServer::start(&["--redis-url", "off"]);
    assert_eq!((says(&alone, "this node is alone"), says(&alone, "shares its rooms")), (1, 0));
    let redis = Redis::start(&[]);
    let shared = node("n1", &redis.url(), &[]);
    assert_eq!((says(&shared, "this node is alone"), says(&shared, "shares its rooms")), (0, 1));
}
