//! A reverse proxy that serves the server under a prefix and knows no other path.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use synctv_testkit::{
    stand_in::{self, Request},
    tls::HOST,
};

/// Serves until the test process ends.
pub struct PrefixProxy {
    address: SocketAddr,
    prefix: &'static str,
    is_tls: bool,
}

impl PrefixProxy {
    /// Forwards `PREFIX/PATH` to `/PATH` of `server`; closes connections that ask for anything else.
    pub fn start(prefix: &'static str, server: SocketAddr) -> Self {
        let address = stand_in::serve(move |mut client| {
            // Either side may end the connection at any time.
            let _ = forward(&mut client, prefix, server, "");
            let _ = client.shutdown(Shutdown::Both);
        });
        Self { address, prefix, is_tls: false }
    }

    /// Like [`start`](Self::start), over TLS, which the server learns.
    pub fn start_tls(prefix: &'static str, server: SocketAddr, config: Arc<ServerConfig>) -> Self {
        let said = format!("X-Forwarded-Proto: https\r\nX-Forwarded-Prefix: {prefix}\r\n");
        let address = stand_in::serve(move |socket| {
            let session = ServerConnection::new(config.clone()).expect("the settings are good");
            let mut client = StreamOwned::new(session, socket);
            let _ = forward(&mut client, prefix, server, &said);
            client.conn.send_close_notify();
            let _ = client.flush();
            let _ = client.sock.shutdown(Shutdown::Both);
        });
        Self { address, prefix, is_tls: true }
    }

    pub fn url(&self, path: &str) -> String {
        let Self { address, prefix, is_tls } = self;
        match is_tls {
            true => format!("https://{HOST}:{}{prefix}{path}", address.port()),
            false => format!("http://{address}{prefix}{path}"),
        }
    }
}

/// One request for each connection: the server closes it behind its response, as it is asked to.
fn forward(client: &mut (impl Read + Write), prefix: &str, server: SocketAddr, said: &str) -> io::Result<()> {
    let Some(request) = Request::read(client, &mut Vec::new()) else { return Ok(()) };
    let Some(path) = request.target.strip_prefix(prefix) else { return Ok(()) };
    let mut head = format!("{} {path} HTTP/1.1\r\nConnection: close\r\n{said}", request.method);
    for (name, value) in request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
        head += &format!("{name}: {value}\r\n");
    }
    let mut upstream = TcpStream::connect(server)?;
    upstream.write_all(format!("{head}\r\n").as_bytes())?;
    upstream.write_all(&request.body)?;
    io::copy(&mut upstream, client).map(drop)
}
