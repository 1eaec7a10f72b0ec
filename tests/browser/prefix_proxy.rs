//! A reverse proxy that serves the server under a prefix and knows no other path.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

/// Serves until the test process ends.
pub struct PrefixProxy {
    address: SocketAddr,
    prefix: &'static str,
}

impl PrefixProxy {
    /// Forwards `PREFIX/PATH` to `/PATH` of `server`; closes connections that ask for anything else.
    pub fn start(prefix: &'static str, server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the proxy");
        let address = listener.local_addr().expect("it has an address");
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Either side may end the connection at any time.
                thread::spawn(move || forward(client, prefix, server));
            }
        });
        Self { address, prefix }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{}{path}", self.address, self.prefix)
    }
}

/// One request for each connection: the server closes it behind its response.
fn forward(mut client: TcpStream, prefix: &str, server: SocketAddr) -> io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let Some(request_line) = lines.next().transpose()? else { return Ok(()) };
    let Some(request_line) = without_prefix(&request_line, prefix) else { return Ok(()) };
    let mut head = request_line + "\r\n";
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        head += &format!("{line}\r\n");
    }
    let mut upstream = TcpStream::connect(server)?;
    upstream.write_all(format!("{head}\r\n").as_bytes())?;
    let copied = io::copy(&mut upstream, &mut client);
    client.shutdown(Shutdown::Both)?;
    copied.map(drop)
}

fn without_prefix(request_line: &str, prefix: &str) -> Option<String> {
    let (method, rest) = request_line.split_once(' ')?;
    Some(format!("{method} {}", rest.strip_prefix(prefix)?))
}
