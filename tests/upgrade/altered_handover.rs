//! A program between two programs of the server: it takes the handover, alters its state, and hands it on.
//!
//! It is the test's own binary, run once more: the script that is installed in the server's place makes the process that
//! program by `exec`, and the program makes it the server again. The process id stays, and the descriptors go through.

use std::{
    env,
    fs::File,
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{fs::FileExt, process::CommandExt},
    },
    process::Command,
};

use rustix::{
    cmsg_space,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use synctv_testkit::process::server_binary;

use crate::installed::Installed;

/// Names the alteration to a test that is run as the program between.
const ALTERATION: &str = "TEST_ALTERATION";

/// An offset in a state's data, which follows the head. The media after it has no checksum.
const DATA_AT: u64 = 64;

/// Descriptors in one message: the kernel's limit, `SCM_MAX_FD`.
const CHUNK_MAX: usize = 253;

/// The offset of the version in a state, after the magic.
const VERSION_AT: u64 = 8;

/// A change of the state on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alteration {
    /// It has another version.
    Version,
    /// It is truncated.
    Truncated,
    /// A byte is another one.
    Damaged,
    /// Its first bytes differ.
    Foreign,
}

impl Alteration {
    const ALL: [Self; 4] = [Self::Version, Self::Truncated, Self::Damaged, Self::Foreign];

    fn name(self) -> String {
        format!("{self:?}")
    }

    /// Installs the program between, for the test of this name, which has to begin with [`run_between`].
    pub fn install(self, installed: &Installed, test: &str) {
        let tests = env::current_exe().expect("the test's binary is known");
        installed.replace_with_script(&format!(
            "[ \"$1\" = --check ] && exit 0\n\
             {ALTERATION}={} exec {} --exact {test} --nocapture",
            self.name(),
            tests.to_str().expect("the build directory is text"),
        ));
    }

    fn apply(self, state: &File) {
        let length = state.metadata().expect("the state has a length").len();
        let flip = |at: u64| {
            let mut byte = [0];
            state.read_exact_at(&mut byte, at).expect("the state can be read");
            byte[0] ^= 0x40;
            state.write_all_at(&byte, at).expect("the state can be written");
        };
        match self {
            Self::Version => flip(VERSION_AT),
            Self::Truncated => state.set_len(length / 2).expect("the state can be cut off"),
            Self::Damaged => flip(DATA_AT),
            Self::Foreign => flip(0),
        }
    }
}

/// In a process that is the program between, alters the state and becomes the server: it does not return then.
pub fn run_between() {
    let Ok(name) = env::var(ALTERATION) else { return };
    let alteration = Alteration::ALL.into_iter().find(|alteration| alteration.name() == name);
    let stdin = take_and_alter(alteration.expect("the alteration is known"));
    let mut server = Command::new(server_binary());
    server.arg("--take-handover").env_remove(ALTERATION).stdin(stdin);
    panic!("the server cannot be run: {}", server.exec());
}

/// Moves all messages from stdin into another socket pair, and returns the end that has them.
fn take_and_alter(alteration: Alteration) -> OwnedFd {
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("a socket pair");
    let mut is_first = true;
    while let Some((bytes, mut descriptors)) = receive(std::io::stdin()) {
        if is_first {
            let state = File::from(descriptors.pop().expect("the state comes first"));
            alteration.apply(&state);
            descriptors.push(state.into());
        }
        is_first = false;
        send(&near, &bytes, &descriptors);
    }
    assert!(!is_first, "there is a handover");
    far
}

/// Receives a message that waits.
fn receive(socket: impl AsFd) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(CHUNK_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 256];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags).ok()?;
    let descriptors = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => rights.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let descriptors: Vec<OwnedFd> = descriptors.collect();
    (received.bytes > 0).then(|| (bytes[..received.bytes].to_vec(), descriptors))
}

fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[OwnedFd]) {
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(CHUNK_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL).expect("the pair takes it");
}
