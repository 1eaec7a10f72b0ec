//! A service that the server asks: it answers as a test wants, and notes what it was asked.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use crate::stand_in::{self, Request};

/// A service on this host. Its thread ends with the test's process.
#[derive(Debug)]
pub struct Service {
    /// Its address.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Service {
    /// Starts it. `answer` gets each request's body, and gives a status and a body; `None` never answers.
    pub fn start(answer: impl Fn(&Value) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        Self { address: stand_in::serve(move |socket| serve(socket, &noted, &answer)), asked }
    }

    /// Returns a URL of it, which has a path and a query.
    pub fn url(&self) -> String {
        format!("http://{}/a/path?with=a-query", self.address)
    }

    /// Returns the bodies of all requests so far; null for one without a body.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    mut socket: TcpStream,
    noted: &Mutex<Vec<Value>>,
    answer: &(dyn Fn(&Value) -> Option<(u16, String)> + Send + Sync),
) {
    let mut read = Vec::new();
    while let Some(request) = Request::read(&mut socket, &mut read) {
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(body.clone());
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
