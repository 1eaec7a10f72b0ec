//! A service that the server asks: it answers as a test wants, and notes what it was asked.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;

/// A service on this host. Its thread ends with the test's process.
pub struct Service {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Service {
    /// Starts it. `answer` gets each request's body, and gives a status and a body; `None` never answers.
    pub fn start(answer: impl Fn(&Value) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (noted, answer) = (noted.clone(), answer.clone());
                thread::spawn(move || serve(socket, &noted, &*answer));
            }
        });
        Self { address, asked }
    }

    pub fn url(&self) -> String {
        format!("http://{}/a/path?with=a-query", self.address)
    }

    /// The bodies of all requests so far; null for one without a body.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut socket: TcpStream,
    noted: &Mutex<Vec<Value>>,
    answer: &(dyn Fn(&Value) -> Option<(u16, String)> + Send + Sync),
) {
    while let Some(body) = read_request(&mut socket) {
        noted.lock().unwrap().push(body.clone());
        let Some((status, text)) = answer(&body) else {
            // Held open until the other side gives up.
            let _ = socket.read(&mut [0]);
            return;
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", text.len());
        if socket.write_all((head + &text).as_bytes()).is_err() {
            return;
        }
    }
}

/// The JSON of the next request; `None` at the end.
fn read_request(socket: &mut TcpStream) -> Option<Value> {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..at]).to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let end = at + 4 + length.unwrap_or(0);
            if read.len() >= end {
                return Some(serde_json::from_slice(&read[at + 4..end]).unwrap_or(Value::Null));
            }
        }
        match socket.read(&mut buffer) {
            Ok(size @ 1..) => read.extend_from_slice(&buffer[..size]),
            _ => return None,
        }
    }
}
