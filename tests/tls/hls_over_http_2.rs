//! The TLS port for HLS alone speaks HTTP/2: a browser's players share one connection, however many hold a request.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use synctv_testkit::{
    http::{read_response, send_get},
    metrics::Scrape,
    redis::Redis,
    rtmp::RtmpPeer,
    server::TestServer,
    tls::TestAuthority,
    tools::{Encoded, run},
    wait::poll_until,
};

use crate::{curl, https, with};

const HELD: &str = "synctv_hls_held_requests";

/// Requests of a connection that the server answers at once.
const STREAMS_MAX: usize = 100;

/// Requests of a connection that are held at once, and bodies that are read at once.
const CONNECTION_HELD_MAX: usize = 16;
const BODIES_MAX: usize = 4;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

/// The window of each stream, in bytes, as a setting of a client that takes little of a body.
const SMALL_WINDOW: [u8; 6] = [0, 4, 0, 0, 0x10, 0];

/// The beginning of a response's head with status 200 (RFC 7541, appendix A).
const OK: u8 = 0x88;

/// A server with HLS over TLS, and a room `r` that has parts, and whose publisher sends nothing more.
struct QuietRoom {
    authority: TestAuthority,
    server: TestServer,
    publisher: RtmpPeer,
    /// The playlist with the part that does not come.
    held: String,
}

impl QuietRoom {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(further: &[&str]) -> Self {
        let authority = TestAuthority::new();
        let server = start_server(&authority, further);
        let mut publisher = RtmpPeer::publish(&server, "r");
        let clip = Encoded::new(5, "-c:v libx264 -preset ultrafast -g 50 -sc_threshold 0", "-c:a aac");
        publisher.send_all(&clip.frames());
        let sequence = poll_until("two segments and a part", || {
            let text = server.hls().get("/live/r/ll.m3u8").text();
            let next = text.split_once("PRELOAD-HINT:TYPE=PART,URI=\"part-")?.1;
            let sequence: u64 = next.split('.').next()?.parse().ok()?;
            (text.matches("\nseg-").count() > 1).then_some(sequence)
        });
        let held = format!("/live/r/ll.m3u8?_HLS_msn={}&_HLS_part=0", sequence + 1);
        Self { authority, server, publisher, held }
    }

    /// The path of a segment that is in memory.
    fn segment(&self) -> String {
        let listed = self.server.hls().get("/live/r/ll.m3u8").text();
        let segment = listed.lines().find(|line| line.starts_with("seg-")).expect("a segment");
        format!("/live/r/{segment}")
    }

    fn wait_for_held(&self, requests: usize) {
        Scrape::when(self.server.metrics(), HELD, requests as f64);
    }

    /// curl, which asks for what is held so often at once, and writes version, port and status of each.
    fn hold(&self, requests: usize) -> Child {
        let mut command = curl(&self.authority);
        command.args(["--http2", "--parallel", "-w", "%{http_version} %{local_port} %{response_code}\n"]);
        for request in 0..requests {
            let url = https(self.server.hls_tls(), &format!("{}&n={request}", self.held));
            command.args(["-o", "/dev/null", &url]);
        }
        command.stdout(Stdio::piped()).spawn().expect("curl can be run")
    }
}

fn start_server(authority: &TestAuthority, further: &[&str]) -> TestServer {
    let flags = ["--hls-tls-addr", "127.0.0.1:0", "--hls-fmp4", "always", "--publisher-grace-s", "0"];
    let flags = with(authority, &[&flags[..], &["--metrics-addr", "127.0.0.1:0"], further].concat());
    TestServer::with_hls(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn seven_players_hold_a_request_each_on_one_connection() {
    let room = QuietRoom::start();
    let curl = room.hold(7);
    room.wait_for_held(7);
    room.publisher.reset();
    let output = curl.wait_with_output().expect("curl ends");
    let answers = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = answers.lines().next().expect("an answer");
    assert!(first.starts_with("2 ") && first.ends_with(" 200"), "{answers}");
    assert_eq!(answers.lines().filter(|answer| *answer == first).count(), 7, "{answers}");
    Scrape::when(room.server.metrics(), HELD, 0.0);
}

#[test]
fn answers_are_byte_for_byte_those_of_http_1() {
    let room = QuietRoom::start();
    let (segment, QuietRoom { authority, server, .. }) = (&*room.segment(), &room);
    let over = |version: &str, options: &[&str], path: &str| {
        let mut command = curl(authority);
        command.args([version, "--include"]).args(options).arg(https(server.hls_tls(), path));
        let answer = run(&mut command).stdout;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let (line, headers) = head.split_once("\r\n").expect("a status line");
        let mut headers: Vec<String> =
            headers.lines().filter(|line| !line.starts_with("date")).map(str::to_owned).collect();
        headers.sort();
        (line.trim().to_owned(), headers, answer[end..].to_vec())
    };
    for (options, path) in [
        (&[][..], segment),
        (&["--range", "100-200000"], segment),
        (&["--head"], segment),
        (&["--header", "Accept-Encoding: gzip"], "/live/r/ll.m3u8"),
        (&["--header", "If-None-Match: *"], "/live/r/ll.m3u8"),
        (&["--request", "OPTIONS"], "/live/r/ll.m3u8"),
    ] {
        let (line, headers, body) = over("--http2", options, path);
        let (old_line, old_headers, old_body) = over("--http1.1", options, path);
        assert_eq!(line.replace("HTTP/2 ", ""), old_line.split(' ').nth(1).unwrap_or_default(), "{path}");
        assert_eq!(headers, old_headers, "{path}");
        assert!(body == old_body, "{path} {options:?}");
    }
}

#[test]
fn refusals_are_those_of_http_1() {
    let QuietRoom { authority, server, publisher: _publisher, .. } = QuietRoom::start();
    for (path, status) in [
        ("/", "404"),
        ("/r.flv", "404"),
        ("/api/v1/streams", "404"),
        ("/live/nobody/index.m3u8", "404"),
        ("/live/%2e%2e/index.m3u8", "400"),
        ("/live/r/ll.m3u8?_HLS_part=0", "400"),
    ] {
        let url = https(server.hls_tls(), path);
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--http2", "--path-as-is", "--cacert"])
            .arg(authority.certificate_of_authority());
        let answer = run(command.args(["-o", "/dev/null", "-w", "%{http_version} %{response_code}", &url]));
        assert_eq!(String::from_utf8_lossy(&answer.stdout), format!("2 {status}"), "{path}");
    }
}

#[test]
fn a_client_without_http_2_is_served_as_on_other_ports() {
    let room = QuietRoom::start();
    let mut socket = room.authority.dial(room.server.hls_tls());
    let mut read = Vec::new();
    for _ in 0..2 {
        send_get(&mut socket, "/live/r/ll.m3u8");
        assert_eq!(read_response(&mut socket, &mut read, false).status, 200);
    }
}

#[test]
fn the_api_names_the_port_to_clients_that_come_over_tls() {
    let room = QuietRoom::start();
    let about = |url: String| -> serde_json::Value {
        let output = run(curl(&room.authority).arg(url)).stdout;
        serde_json::from_slice(&output).expect("it is JSON")
    };
    let over_tls = about(https(room.server.tls(), "/api/v1/server"));
    assert_eq!(over_tls["hls_port"], room.server.hls_tls().port());
    let plain = about(room.server.url("/api/v1/server"));
    assert_eq!(plain["hls_port"], room.server.hls().address.port());
    assert_eq!(plain["hls_tls_port"], room.server.hls_tls().port());
}

/// Each of a trusted proxy's viewers may have one held.
#[test]
fn requests_beyond_the_limit_are_refused_and_harm_no_other() {
    let room = QuietRoom::start_with(&["--trust-proxy", "127.0.0.1"]);
    let mut client = RawClient::connect(&room);
    for stream in 0..STREAMS_MAX + 20 {
        client.request(stream, &room.held);
    }
    let mut refused = 0;
    while refused < 20 {
        let frame = client.next();
        assert_ne!(frame.kind, GOAWAY, "the connection goes on");
        if frame.kind == RST_STREAM {
            assert_eq!(frame.payload, REFUSED_STREAM.to_be_bytes());
            refused += 1;
        }
    }
    room.wait_for_held(STREAMS_MAX);
    room.publisher.reset();
    let mut answered = 0;
    while answered < STREAMS_MAX {
        answered += usize::from(client.next().kind == HEADERS);
    }
    drop(client);
    Scrape::when(room.server.metrics(), HELD, 0.0);
}

/// One client with a few hundred connections would take all places of the node.
#[test]
fn a_connection_has_few_requests_held_and_its_others_wait_for_these() {
    let room = QuietRoom::start();
    let [mut greedy, mut other] = [(); 2].map(|()| RawClient::connect(&room));
    for stream in 0..STREAMS_MAX {
        greedy.request(stream, &room.held);
    }
    greedy.frames_until_pong();
    other.request(0, &room.held);
    room.wait_for_held(CONNECTION_HELD_MAX + 1);
    for stream in 0..CONNECTION_HELD_MAX {
        greedy.frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
    }
    greedy.frames_until_pong();
    room.wait_for_held(CONNECTION_HELD_MAX + 1);
    room.publisher.reset();
    for (client, requests) in [(&mut other, 1), (&mut greedy, STREAMS_MAX - CONNECTION_HELD_MAX)] {
        for _ in 0..requests {
            assert_eq!(client.next_of(HEADERS).payload.first(), Some(&OK));
        }
    }
    Scrape::when(room.server.metrics(), HELD, 0.0);
}

#[test]
fn a_connection_has_as_few_requests_held_on_a_node_that_asks_another() {
    let redis = Redis::start(&[]);
    let shared = ["--redis-url", &redis.url()];
    let QuietRoom { authority, server: _owner, publisher, held } = QuietRoom::start_with(&shared);
    let edge = start_server(&authority, &shared);
    let room = QuietRoom { authority, server: edge, publisher, held };
    let mut client = RawClient::connect(&room);
    for stream in 0..STREAMS_MAX {
        client.request(stream, &room.held);
    }
    client.frames_until_pong();
    room.wait_for_held(CONNECTION_HELD_MAX);
    client.frames_until_pong();
    room.wait_for_held(CONNECTION_HELD_MAX);
    room.publisher.reset();
    for _ in 0..STREAMS_MAX {
        client.next_of(HEADERS);
    }
}

/// Each takes memory, also for a client that reads none of it.
#[test]
fn few_bodies_of_a_connection_are_read_at_once_and_playlists_besides() {
    let room = QuietRoom::start();
    let segment = room.segment();
    let mut client = RawClient::connect_with(&room, &SMALL_WINDOW);
    let segments = 2 * BODIES_MAX;
    for stream in 0..segments {
        client.request(stream, &segment);
    }
    client.request(segments, "/live/r/index.m3u8");
    let (mut answered, mut begun) = (BTreeSet::new(), BTreeSet::new());
    while answered.len() <= segments || begun.len() <= BODIES_MAX {
        let frame = client.next();
        match frame.kind {
            HEADERS => assert!(frame.payload.first() == Some(&OK) && answered.insert(frame.stream)),
            DATA => drop(begun.insert(frame.stream)),
            _ => {}
        }
    }
    let mut begun_since = |client: &mut RawClient| {
        // The second answer comes behind all that was there with the first.
        let frames = [client.frames_until_pong(), client.frames_until_pong()].concat();
        begun.extend(frames.iter().filter(|frame| frame.kind == DATA).map(|frame| frame.stream));
        begun.clone()
    };
    let before = begun_since(&mut client);
    assert_eq!(before.len(), BODIES_MAX + 1, "{before:?}");
    assert!(before.contains(&segments), "the playlist waits for no segment");
    let one = *before.first().expect("a body");
    client.frame(RST_STREAM, 0, one, &CANCEL.to_be_bytes());
    let next = client.next_of(DATA).stream;
    assert!(!before.contains(&next), "{next} of {before:?}");
    assert_eq!(begun_since(&mut client).len(), BODIES_MAX + 1, "and the one just now");
}

/// HTTP/1.1 is served by the same threads.
#[test]
fn a_flood_of_frames_keeps_no_others_waiting() {
    let room = QuietRoom::start();
    let priorities = [0, 0, 5, PRIORITY, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1].repeat(1000);
    let clients: Vec<_> = (0..4).map(|_| RawClient::connect(&room)).collect();
    let (is_over, flood) = (AtomicBool::new(false), Barrier::new(clients.len() + 1));
    thread::scope(|scope| {
        for mut client in clients {
            let (is_over, flood, priorities) = (&is_over, &flood, &priorities);
            scope.spawn(move || {
                client.send(priorities);
                flood.wait();
                // The server may end the connection.
                while !is_over.load(Ordering::Relaxed) && client.0.write_all(priorities).is_ok() {}
            });
        }
        flood.wait();
        let _end = SetOnDrop(&is_over);
        for _ in 0..10 {
            assert_eq!(room.server.hls().get("/live/r/ll.m3u8").status, 200);
        }
    });
}

#[test]
fn a_client_that_takes_its_requests_back_is_held_no_longer() {
    let room = QuietRoom::start();
    let mut client = RawClient::connect(&room);
    for stream in 0..7 {
        client.request(stream, &room.held);
    }
    room.wait_for_held(7);
    for stream in 0..6 {
        client.frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
    }
    room.wait_for_held(1);
    drop(client);
    room.wait_for_held(0);
}

#[test]
fn a_node_that_stops_announces_the_end_and_answers_what_is_held() {
    let room = QuietRoom::start();
    let mut client = RawClient::connect(&room);
    client.request(0, &room.held);
    room.wait_for_held(1);
    room.server.signal("TERM");
    let mut kinds = Vec::new();
    while !(kinds.contains(&GOAWAY) && kinds.contains(&HEADERS)) {
        kinds.push(client.next().kind);
    }
    assert!(room.server.wait_for_exit().success());
}

/// Set at the end of its scope, also when that is a panic.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A client that keeps to no limit.
struct RawClient(TcpStream);

#[derive(Clone)]
struct Frame {
    kind: u8,
    /// The number of the request that it belongs to, if it is one's.
    stream: usize,
    payload: Vec<u8>,
}

impl RawClient {
    fn connect(room: &QuietRoom) -> Self {
        Self::connect_with(room, &[])
    }

    fn connect_with(room: &QuietRoom, settings: &[u8]) -> Self {
        let mut client = Self(room.authority.dial_http_2(room.server.hls_tls()));
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.frame_of(SETTINGS, 0, 0, settings);
        client
    }

    /// A GET, as the request of this number. Its head is HPACK without a table (RFC 7541, appendix A has the numbers).
    fn request(&mut self, number: usize, path: &str) {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let (path, host) = (text(path), text("localhost"));
        let head = [&[0x82, 0x87, 0x04][..], &path, &[0x01], &host].concat();
        self.frame(HEADERS, 0x5, number, &head);
    }

    /// A frame of the request of this number.
    fn frame(&mut self, kind: u8, flags: u8, number: usize, payload: &[u8]) {
        self.frame_of(kind, flags, 2 * number as u32 + 1, payload);
    }

    fn frame_of(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let size = (payload.len() as u32).to_be_bytes();
        self.send(&[&size[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat());
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the server takes it");
    }

    /// Returns what has come when the server answers a PING: it has read all that was sent before.
    fn frames_until_pong(&mut self) -> Vec<Frame> {
        self.frame_of(PING, 0, 0, &[0; 8]);
        let mut frames = vec![self.next()];
        while frames.last().is_some_and(|frame| frame.kind != PING) {
            frames.push(self.next());
        }
        frames
    }

    /// The next frame of a kind; others are dropped.
    fn next_of(&mut self, kind: u8) -> Frame {
        std::iter::repeat_with(|| self.next()).find(|frame| frame.kind == kind).expect("frames go on")
    }

    fn next(&mut self) -> Frame {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).expect("a frame");
        let size = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; size as usize];
        self.0.read_exact(&mut payload).expect("a whole frame");
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) as usize / 2;
        Frame { kind: head[3], stream, payload }
    }
}
