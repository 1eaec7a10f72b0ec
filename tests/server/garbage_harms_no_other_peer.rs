//! Random bytes, on either port and at any point of a session, harm no well-behaved peer.
//!
//! The bytes are random, from fixed seeds, so that a failure comes again.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
};

use synctv_testkit::{
    flv::FlvViewer,
    publisher_script::PublisherScript,
    rtmp::raw::{self, RawRtmp},
    server::TestServer,
    socket::dial,
};

/// As much as an attacker takes of what comes back.
const ANSWER_MAX_BYTES: u64 = 20_000;

/// Attackers of each kind.
const ROUNDS: u64 = 40;

/// Xorshift (Marsaglia 2003): enough of chance, without a dependency.
struct Chance(u64);

impl Chance {
    fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn bytes(&mut self, len_max: usize) -> Vec<u8> {
        let len = 1 + self.below(len_max);
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Throws `bytes` at the server and reads what comes back, until the server closes the connection.
fn throw(mut socket: TcpStream, bytes: &[u8]) {
    // The server may close at any byte.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(std::net::Shutdown::Write);
    // Some of it is a request, which is answered for as long as the stream runs.
    let _ = io::copy(&mut socket.take(ANSWER_MAX_BYTES), &mut io::sink());
}

fn attack(server: &TestServer, kind: u64, seed: u64) {
    let mut chance = Chance::of(seed * 8 + kind);
    match kind {
        0 => throw(dial(server.rtmp), &chance.bytes(8000)),
        1 => throw(dial(server.http), &chance.bytes(8000)),
        2 => throw(dial(server.rtmp), &[raw::c0_and_c1(), chance.bytes(20_000)].concat()),
        3 => throw(RawRtmp::connect(server).socket, &chance.bytes(20_000)),
        4 => {
            let room = format!("attacked_{seed}");
            throw(RawRtmp::publish(server, &room).socket, &almost_media(&mut chance));
        }
        _ => throw(dial(server.http), &almost_http(&mut chance)),
    }
}

/// Well-formed chunks of every message type, with nonsense in them.
fn almost_media(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..50 {
        let csid = 2 + chance.below(100) as u32;
        // Not Set Chunk Size: what comes behind a wrong one is only more of what the other kinds send.
        let type_id = 2 + chance.below(24) as u8;
        let (stream_id, time_ms) = (chance.below(3) as u32, chance.next() as u32);
        let payload = chance.bytes(600);
        bytes.extend(raw::message(csid, type_id, stream_id, time_ms, &payload, raw::FIRST_CHUNK_SIZE));
    }
    bytes
}

fn almost_http(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = b"GET /r.flv HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n".to_vec();
    for _ in 0..4 {
        let at = chance.below(bytes.len());
        bytes[at] = chance.next() as u8;
    }
    bytes
}

#[test]
fn on_both_ports_while_a_stream_runs() {
    let mut server = TestServer::start(&[
        "--publisher-grace-s",
        "0",
        "--handshake-timeout-s",
        "1",
        "--idle-timeout-s",
        "1",
    ]);
    let mut script = PublisherScript::start(&server, "r", 1000);
    thread::scope(|scope| {
        let attackers: Vec<_> = (0..6)
            .map(|kind| {
                let server = &server;
                scope.spawn(move || (0..ROUNDS).for_each(|seed| attack(server, kind, seed)))
            })
            .collect();
        while !attackers.iter().all(|attacker| attacker.is_finished()) {
            script.step();
        }
        for attacker in attackers {
            attacker.join().expect("the attackers come to their end");
        }
    });
    let last = script.steps(10).pop().expect("frames were sent");
    FlvViewer::open(&server, "r").frames_until(&last);
    server.assert_unhurt();
}
