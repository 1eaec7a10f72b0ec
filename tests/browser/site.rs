//! Another site: pages from another origin than the server's.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

/// Serves a few pages until the test process ends. There is nothing to wait for: it holds no one's port.
pub struct Site(SocketAddr);

type Page = (&'static str, &'static str, String);

impl Site {
    /// Pages as path, type and contents.
    pub fn serve(pages: Vec<Page>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the other site");
        let address = listener.local_addr().expect("it has an address");
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                // A browser may open connections that it does not use.
                let pages = pages.clone();
                thread::spawn(move || answer(socket, &pages));
            }
        });
        Self(address)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0)
    }
}

fn answer(mut socket: TcpStream, pages: &[Page]) -> Option<()> {
    let mut lines = BufReader::new(&socket).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let path = path.split('?').next()?;
    lines.find(String::is_empty)?;
    let (kind, body) = pages
        .iter()
        .find(|(name, ..)| *name == path)
        .map_or(("text/plain", ""), |(_, kind, body)| (*kind, body.as_str()));
    let size = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).ok()?;
    socket.write_all(body.as_bytes()).ok()
}
