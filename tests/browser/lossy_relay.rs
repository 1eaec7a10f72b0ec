//! A UDP relay between a player and a server, on whose way back some media is lost.

use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

/// Interval of the check for the relay's end.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

const DATAGRAM_MAX_BYTES: usize = 2048;

/// RTP and RTCP begin with their version (RFC 7983, section 7).
const MEDIA: u8 = 128;

/// A running relay; it ends when this is dropped.
pub struct LossyRelay {
    /// The address at which the player sees the server.
    pub address: SocketAddr,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    loss_percent: AtomicU32,
    lost: AtomicU32,
    has_ended: AtomicBool,
}

impl LossyRelay {
    /// Starts one that loses nothing yet.
    pub fn start(server: SocketAddr) -> Self {
        let front = socket();
        let address = front.local_addr().expect("it is bound");
        let way = Arc::new(Way::default());
        let relay = Self { address, way: way.clone() };
        thread::spawn(move || relay_to(server, &Arc::new(front), &way));
        relay
    }

    /// Loses this share of the media from now on.
    pub fn lose(&self, percent: u32) {
        self.way.loss_percent.store(percent, Ordering::SeqCst);
    }

    /// Returns the number of datagrams that were lost.
    pub fn lost(&self) -> u32 {
        self.way.lost.load(Ordering::SeqCst)
    }
}

impl Drop for LossyRelay {
    fn drop(&mut self) {
        self.way.has_ended.store(true, Ordering::SeqCst);
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket.set_read_timeout(Some(LOOK_INTERVAL)).expect("a timeout can be set");
    socket
}

/// Gives each of the player's addresses one of its own on the other side, as address translation does.
fn relay_to(server: SocketAddr, front: &Arc<UdpSocket>, way: &Arc<Way>) {
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut datagram = [0; DATAGRAM_MAX_BYTES];
    while !way.has_ended.load(Ordering::SeqCst) {
        let Ok((size, player)) = front.recv_from(&mut datagram) else { continue };
        let back = backs.entry(player).or_insert_with(|| {
            let back = Arc::new(socket());
            back.connect(server).expect("UDP connects at once");
            let (front, returns, way) = (front.clone(), back.clone(), way.clone());
            thread::spawn(move || relay_back(&returns, &front, player, &way));
            back
        });
        // The server may have ended.
        let _ = back.send(&datagram[..size]);
    }
}

fn relay_back(back: &UdpSocket, front: &UdpSocket, player: SocketAddr, way: &Way) {
    let mut datagram = [0; DATAGRAM_MAX_BYTES];
    let mut random = 1_u32;
    while !way.has_ended.load(Ordering::SeqCst) {
        let Ok(size) = back.recv(&mut datagram) else { continue };
        // Numerical Recipes' generator, of which the upper bits are random enough.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if datagram[0] >= MEDIA && (random >> 16) % 100 < way.loss_percent.load(Ordering::SeqCst) {
            way.lost.fetch_add(1, Ordering::SeqCst);
        } else {
            let _ = front.send_to(&datagram[..size], player);
        }
    }
}
