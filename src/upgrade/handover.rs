//! The way of state and descriptors from a program to the one that replaces it in the same process.
//!
//! Everything waits in a socket pair whose one end is the new program's stdin. A descriptor that stays open over `execve`
//! could be used there by its number alone, but taking a number for a descriptor is unsafe code; one that is received
//! over a socket is owned.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Seek, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    cmsg_space,
    fs::{MemfdFlags, memfd_create},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair, sockopt,
    },
};
use thiserror::Error;

/// Descriptors in one message: the kernel's limit, `SCM_MAX_FD`.
const CHUNK_MAX: usize = 253;

/// The first bytes of a handover.
const MAGIC: [u8; 8] = *b"synctvUP";

/// The layout of [`Head`]. It stays readable for longer than the state behind it.
const LAYOUT: u32 = 1;

/// The length of [`Head`] in bytes.
const HEAD_BYTES: usize = 8 + 4 + 8 + 4;

/// Bytes of messages that may wait in the socket pair. The kernel may grant less, which is enough for 50,000 descriptors.
const BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// A handover that is prepared: all that needs a descriptor is there before any connection is stopped for it.
#[derive(Debug)]
pub(super) struct Handover {
    near: OwnedFd,
    far: OwnedFd,
    memory: File,
}

/// A program's state, as the next one receives it.
#[derive(Debug)]
pub(super) struct Received {
    /// The incarnation of the node's process, which goes on even if its state cannot be read.
    pub incarnation: u64,
    /// The encoded state.
    pub state: File,
    /// Its length.
    pub state_bytes: u64,
    /// The descriptors that the state refers to, by their place.
    pub descriptors: Vec<OwnedFd>,
}

/// The part of a handover that every version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    incarnation: u64,
    descriptors: u32,
}

/// The reason no handover could be taken.
#[derive(Debug, Error)]
pub(super) enum HandoverError {
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
    /// Stdin has something else.
    #[error("stdin has no handover of this version")]
    Foreign,
    /// Descriptors are missing, or the state is.
    #[error("the handover is incomplete: {got} of {expected} descriptors")]
    Incomplete {
        /// The descriptors that came.
        got: usize,
        /// The descriptors that were announced.
        expected: usize,
    },
}

impl Handover {
    /// Prepares a handover.
    pub fn prepare() -> io::Result<Self> {
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // What the kernel grants is enough, or sending fails.
        let _ = sockopt::set_socket_send_buffer_size(&near, BUFFER_BYTES);
        let memory = memfd_create("synctv-upgrade", MemfdFlags::CLOEXEC)?;
        Ok(Self { near, far, memory: memory.into() })
    }

    /// Puts everything in place for the next program. Waits for nothing: it fails if the kernel does not take it at once.
    pub fn send<'s>(
        &mut self,
        incarnation: u64,
        state: impl Iterator<Item = &'s [u8]>,
        descriptors: &[OwnedFd],
    ) -> io::Result<()> {
        for part in state {
            self.memory.write_all(part)?;
        }
        self.memory.rewind()?;
        let count = u32::try_from(descriptors.len()).map_err(io::Error::other)?;
        let head = Head { incarnation, descriptors: count };
        send_message(&self.near, &head.to_bytes(), &[self.memory.as_fd()])?;
        for chunk in descriptors.chunks(CHUNK_MAX) {
            let chunk: Vec<BorrowedFd<'_>> = chunk.iter().map(AsFd::as_fd).collect();
            send_message(&self.near, b"+", &chunk)?;
        }
        Ok(())
    }

    /// The end that the next program has as its stdin.
    pub fn stdin(&self) -> BorrowedFd<'_> {
        self.far.as_fd()
    }
}

impl Received {
    /// Takes what waits at `stdin`. Waits for nothing.
    pub fn take(stdin: impl AsFd) -> Result<Self, HandoverError> {
        let mut bytes = [0; HEAD_BYTES];
        let (length, mut memory) = receive_message(&stdin, &mut bytes)?;
        let head = Head::from_bytes(bytes).filter(|_| length == HEAD_BYTES).ok_or(HandoverError::Foreign)?;
        let expected = head.descriptors as usize;
        let mut descriptors = Vec::new();
        while descriptors.len() < expected {
            let (length, chunk) = receive_message(&stdin, &mut [0])?;
            if length == 0 || chunk.is_empty() {
                break;
            }
            descriptors.extend(chunk);
        }
        let got = descriptors.len();
        let memory = memory.pop().filter(|_| got == expected);
        let memory = memory.ok_or(HandoverError::Incomplete { got, expected })?;
        let state = File::from(memory);
        let state_bytes = state.metadata()?.len();
        Ok(Self { incarnation: head.incarnation, state, state_bytes, descriptors })
    }
}

impl Head {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(LAYOUT.to_le_bytes());
        bytes.extend(self.incarnation.to_le_bytes());
        bytes.extend(self.descriptors.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; HEAD_BYTES]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (layout, rest) = rest.split_first_chunk()?;
        let (incarnation, rest) = rest.split_first_chunk()?;
        let (descriptors, _) = rest.split_first_chunk()?;
        let is_ours = *magic == MAGIC && u32::from_le_bytes(*layout) == LAYOUT;
        is_ours.then(|| Self {
            incarnation: u64::from_le_bytes(*incarnation),
            descriptors: u32::from_le_bytes(*descriptors),
        })
    }
}

fn send_message(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(CHUNK_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one message: its length, and the descriptors that came with it.
fn receive_message(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(CHUNK_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((received.bytes, descriptors))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn state_and_descriptors_arrive_as_they_were_sent() {
        let pairs: Vec<_> = (0..2 * CHUNK_MAX + 7).map(|_| UnixStream::pair().unwrap()).collect();
        let (near, far): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let state = vec![7; 3_000_000];
        let mut handover = Handover::prepare().unwrap();
        let descriptors: Vec<OwnedFd> = near.into_iter().map(OwnedFd::from).collect();
        handover.send(42, state.chunks(1_000_000), &descriptors).unwrap();
        drop(descriptors);
        let mut received = Received::take(handover.stdin()).unwrap();
        assert_eq!((received.incarnation, received.state_bytes), (42, 3_000_000));
        let mut read = Vec::new();
        received.state.read_to_end(&mut read).unwrap();
        assert!(read == state);
        assert_eq!(received.descriptors.len(), far.len());
        for (place, (descriptor, mut peer)) in received.descriptors.into_iter().zip(far).enumerate() {
            writeln!(peer, "{place}").unwrap();
            let mut line = String::new();
            BufReader::new(UnixStream::from(descriptor)).read_line(&mut line).unwrap();
            assert_eq!(line.trim(), place.to_string());
        }
    }

    #[test]
    fn no_descriptors_are_no_fault() {
        let mut handover = Handover::prepare().unwrap();
        handover.send(1, [&b"state"[..]].into_iter(), &[]).unwrap();
        let received = Received::take(handover.stdin()).unwrap();
        assert_eq!((received.state_bytes, received.descriptors.len()), (5, 0));
    }

    #[test]
    fn other_stdins_are_refused_at_once() {
        let empty = Handover::prepare().unwrap();
        assert!(matches!(Received::take(empty.stdin()), Err(HandoverError::System(_))));
        let (near, far) = UnixStream::pair().unwrap();
        (&near).write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(matches!(Received::take(&far), Err(HandoverError::Foreign)));
        let file = tempfile::tempfile().unwrap();
        assert!(matches!(Received::take(&file), Err(HandoverError::System(_))));
    }

    #[test]
    fn a_handover_that_breaks_off_is_an_error() {
        let handover = Handover::prepare().unwrap();
        let head = Head { incarnation: 1, descriptors: 2 };
        send_message(&handover.near, &head.to_bytes(), &[handover.memory.as_fd()]).unwrap();
        send_message(&handover.near, b"+", &[handover.memory.as_fd()]).unwrap();
        let Handover { near, far, .. } = handover;
        drop(near);
        let error = Received::take(&far).unwrap_err();
        assert!(matches!(error, HandoverError::Incomplete { got: 1, expected: 2 }), "{error}");
    }
}
