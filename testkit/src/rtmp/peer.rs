//! A publisher or player that speaks RTMP, over a blocking socket.

use std::{
    collections::VecDeque,
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use synctv_media::{
    rtmp::client::{Client, ClientEvent},
    stream::frame::{Frame, Track},
};

use crate::{
    room_history::{self, FrameSource},
    server::TestServer,
    socket::{dial, is_timeout, receive, wait_no_longer_than},
    wait::{PATIENCE, now},
};

/// The reason a publish or play did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Such as `NetStream.Publish.BadName`.
    pub code: String,
    /// For people.
    pub description: String,
}

/// One connection.
#[derive(Debug)]
pub struct RtmpPeer {
    socket: TcpStream,
    client: Client,
    /// The codes of all statuses that came.
    pub statuses: VecDeque<String>,
    /// The address that came with the last reconnect request.
    pub sent_to: Option<String>,
}

/// The next event on a connection.
#[derive(Debug)]
pub enum Next {
    /// The server sent something.
    Event(ClientEvent),
    /// The server closed it.
    End,
    /// Nothing, for as long as was waited.
    Nothing,
}

impl RtmpPeer {
    /// Publishes, and waits until the server accepts it.
    pub fn publish(server: &TestServer, room: &str) -> Self {
        Self::try_publish(server, room).expect("the publish is accepted")
    }

    /// Asks to publish.
    pub fn try_publish(server: &TestServer, room: &str) -> Result<Self, Refused> {
        Self::start(dial(server.rtmp), Client::publisher("live", room))
    }

    /// Plays, and waits until the server accepts it.
    pub fn play(server: &TestServer, room: &str) -> Self {
        Self::try_play(server, room).expect("the play is accepted")
    }

    /// Asks to play.
    pub fn try_play(server: &TestServer, room: &str) -> Result<Self, Refused> {
        Self::start(dial(server.rtmp), Client::player("live", room))
    }

    /// Runs `client` on `socket` until it is accepted or refused.
    pub fn start(socket: TcpStream, client: Client) -> Result<Self, Refused> {
        let mut peer = Self { socket, client, statuses: VecDeque::new(), sent_to: None };
        peer.send_output();
        loop {
            match peer.next(PATIENCE) {
                Next::Event(ClientEvent::Ready) => return Ok(peer),
                Next::Event(ClientEvent::Status { code, description, level, .. }) if level == "error" => {
                    return Err(Refused { code, description });
                }
                Next::Event(_) => {}
                Next::End => panic!("the connection ended without a refusal"),
                Next::Nothing => panic!("neither accepted nor refused"),
            }
        }
    }

    /// Publishes one frame.
    pub fn send(&mut self, frame: &Frame) {
        self.client.send_frame(frame);
        self.send_output();
    }

    /// Publishes frames, in one write.
    pub fn send_all<'a>(&mut self, frames: impl IntoIterator<Item = &'a Frame>) {
        for frame in frames {
            self.client.send_frame(frame);
        }
        self.send_output();
    }

    /// Waits up to `limit` for what comes next.
    pub fn next(&mut self, limit: Duration) -> Next {
        let deadline = now() + limit;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(event) = self.client.poll_event() {
                if let ClientEvent::Status { code, tc_url, .. } = &event {
                    self.statuses.push_back(code.clone());
                    self.sent_to = tc_url.clone().or(self.sent_to.take());
                }
                return Next::Event(event);
            }
            wait_no_longer_than(&self.socket, deadline);
            match receive(&mut self.socket, &mut buffer) {
                Ok(0) => return Next::End,
                Ok(size) => {
                    self.client.feed(&buffer[..size]).expect("the server's bytes are RTMP");
                    self.send_output();
                }
                Err(error) if is_timeout(&error) => return Next::Nothing,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Next::End,
                Err(error) => panic!("reading of the server: {error}"),
            }
        }
    }

    /// Waits for the next frame; `None` if the server closed the connection.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            match self.next(PATIENCE) {
                // Players get messages apart from the stream's own data.
                Next::Event(ClientEvent::Frame(frame)) if is_of_the_server(&frame) => {}
                Next::Event(ClientEvent::Frame(frame)) => return Some(frame),
                Next::Event(_) => {}
                Next::End => return None,
                Next::Nothing => panic!("no frame came within {PATIENCE:?}"),
            }
        }
    }

    /// Waits for frames up to and with the one whose payload is that of `last`.
    pub fn frames_until(&mut self, last: &Frame) -> Vec<Frame> {
        room_history::frames_until(self, last)
    }

    /// Waits for all frames up to the end of the stream.
    pub fn frames_to_the_end(&mut self) -> Vec<Frame> {
        room_history::frames_to_the_end(self)
    }

    /// Waits until the server closes the connection; what else it sends is passed over.
    pub fn wait_for_end(&mut self) {
        loop {
            match self.next(PATIENCE) {
                Next::End => return,
                Next::Event(_) => {}
                Next::Nothing => panic!("the connection did not end within {PATIENCE:?}"),
            }
        }
    }

    /// Waits for a status of this code.
    pub fn wait_for_status(&mut self, wanted: &str) {
        loop {
            match self.next(PATIENCE) {
                Next::Event(ClientEvent::Status { code, .. }) if code == wanted => return,
                Next::Event(_) => {}
                other => panic!("{other:?} instead of {wanted}"),
            }
        }
    }

    /// Ends the publish in good order and waits for the server's status.
    pub fn unpublish(mut self) {
        self.client.delete_stream();
        self.send_output();
        self.wait_for_status("NetStream.Unpublish.Success");
    }

    /// Closes the connection with a reset, as the kernel does for a process that was killed.
    pub fn reset(self) {
        let socket = socket2::Socket::from(self.socket);
        socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER can be set");
    }

    /// Returns the address that the server sees.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a connected socket has an address")
    }

    /// The socket, to set how the kernel treats it.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    fn send_output(&mut self) {
        let output = self.client.take_output();
        // A refusal may come while this side still sends; it is what the caller reads next.
        let _ = self.socket.write_all(&output);
    }
}

impl FrameSource for RtmpPeer {
    fn next_frame(&mut self) -> Option<Frame> {
        self.next_frame()
    }
}

fn is_of_the_server(frame: &Frame) -> bool {
    frame.track == Track::Data && frame.payload.starts_with(b"\x02\x00\x11|RtmpSampleAccess")
}
