//! A balancer: a port whose new connections go to the server that the test sets.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::stand_in;

/// The port. Connections that are open stay where they are.
#[derive(Debug, Clone)]
pub struct Balancer {
    /// Its address on this host.
    pub address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
}

impl Balancer {
    /// Starts it in front of a server.
    pub fn start(target: SocketAddr) -> Self {
        let target = Arc::new(Mutex::new(target));
        let current = target.clone();
        let address = stand_in::serve(move |near| {
            let target = *current.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(far) = TcpStream::connect(target) {
                join(&near, &far);
            }
        });
        Self { address, target }
    }

    /// Sends new connections to another server.
    pub fn point_at(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }
}

/// Carries bytes both ways until both sides have ended.
fn join(near: &TcpStream, far: &TcpStream) {
    for socket in [near, far] {
        socket.set_nodelay(true).expect("TCP_NODELAY can be set");
    }
    thread::scope(|scope| {
        scope.spawn(|| forward(near, far));
        forward(far, near);
    });
}

fn forward(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..size]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
