//! Another node, which answers as a test sets.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::locate_at;
use crate::{
    cluster::origin::{NodeAddresses, Origin},
    testing::request_head,
};

/// The node's reaction to a request.
#[derive(Clone)]
pub(super) enum Reply {
    Answer(String),
    /// Closes the connection behind it.
    BreakOff(String),
    Silence,
}

/// A node that publishes whatever it is asked for.
pub(super) struct Node {
    address: String,
    pub(super) heads: watch::Receiver<Vec<String>>,
    reply: Rc<RefCell<Reply>>,
    pub(super) connections: Rc<Cell<usize>>,
    accept: actix_rt::task::JoinHandle<()>,
}

impl Node {
    pub(super) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (note, heads) = watch::channel(Vec::new());
        let reply = Rc::new(RefCell::new(reply));
        let (note, of_node) = (Rc::new(note), reply.clone());
        let connections = Rc::new(Cell::new(0));
        let count = connections.clone();
        let accept = actix_rt::spawn(async move {
            let mut open = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                count.set(count.get() + 1);
                open.push(AbortOnDrop(actix_rt::spawn(serve(socket, note.clone(), of_node.clone()))));
            }
        });
        let node = Self { address, heads, reply, connections, accept };
        node.publish();
        node
    }

    pub(super) fn publish(&self) {
        self.publish_at(Some(self.address.clone()));
    }

    pub(super) fn publish_at(&self, hls: Option<String>) {
        let unused = "127.0.0.1:1".to_owned();
        let addresses = NodeAddresses { rtmp: unused.clone(), httpflv: unused, hls };
        locate_at(Ok(Some(Origin { node: "n2".to_owned(), epoch: 1, addresses })));
    }

    pub(super) fn unpublish() {
        locate_at(Ok(None));
    }

    pub(super) fn will(&self, reply: Reply) {
        *self.reply.borrow_mut() = reply;
    }

    pub(super) fn requests(&self) -> usize {
        self.heads.borrow().len()
    }

    pub(super) async fn die(self) {
        self.accept.abort();
        let _ = self.accept.await;
    }
}

struct AbortOnDrop(actix_rt::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(mut socket: TcpStream, heads: Rc<watch::Sender<Vec<String>>>, reply: Rc<RefCell<Reply>>) {
    loop {
        let Some(head) = request_head(&mut socket).await else { return };
        heads.send_modify(|heads| heads.push(head.to_lowercase()));
        let now = reply.borrow().clone();
        match now {
            Reply::Answer(text) => socket.write_all(text.as_bytes()).await.unwrap(),
            Reply::BreakOff(text) => return socket.write_all(text.as_bytes()).await.unwrap(),
            Reply::Silence => std::future::pending().await,
        }
    }
}
