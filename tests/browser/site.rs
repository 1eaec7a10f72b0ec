//! Another site: pages from another origin than the server's.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
};

use synctv_testkit::stand_in::{self, Request};

/// Serves a few pages until the test process ends. There is nothing to wait for: it holds no one's port.
pub struct Site(SocketAddr);

type Page = (&'static str, &'static str, String);

impl Site {
    /// Pages as path, type and contents.
    pub fn serve(pages: Vec<Page>) -> Self {
        Self(stand_in::serve(move |socket| {
            answer(socket, &pages);
        }))
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0)
    }
}

fn answer(mut socket: TcpStream, pages: &[Page]) -> Option<()> {
    let request = Request::read(&mut socket, &mut Vec::new())?;
    let path = request.target.split('?').next()?;
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
