//! A reverse proxy that serves the server under a prefix and knows no other path.

use std::{
    io::{self, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use synctv_testkit::stand_in::{self, Request};

/// Serves until the test process ends.
pub struct PrefixProxy {
    address: SocketAddr,
    prefix: &'static str,
}

impl PrefixProxy {
    /// Forwards `PREFIX/PATH` to `/PATH` of `server`; closes connections that ask for anything else.
    pub fn start(prefix: &'static str, server: SocketAddr) -> Self {
        let address = stand_in::serve(move |client| {
            // Either side may end the connection at any time.
            let _ = forward(client, prefix, server);
        });
        Self { address, prefix }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{}{path}", self.address, self.prefix)
    }
}

/// One request for each connection: the server closes it behind its response, as it is asked to.
fn forward(mut client: TcpStream, prefix: &str, server: SocketAddr) -> io::Result<()> {
    let Some(request) = Request::read(&mut client, &mut Vec::new()) else { return Ok(()) };
    let Some(path) = request.target.strip_prefix(prefix) else { return Ok(()) };
    let mut head = format!("{} {path} HTTP/1.1\r\nConnection: close\r\n", request.method);
    for (name, value) in request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
        head += &format!("{name}: {value}\r\n");
    }
    let mut upstream = TcpStream::connect(server)?;
    upstream.write_all(format!("{head}\r\n").as_bytes())?;
    upstream.write_all(&request.body)?;
    let copied = io::copy(&mut upstream, &mut client);
    client.shutdown(Shutdown::Both)?;
    copied.map(drop)
}
