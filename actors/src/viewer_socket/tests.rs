use std::{net::Ipv4Addr, sync::mpsc, time::Duration};

use synctv_media::{
    samples,
    stream::{batcher::Batcher, frame::Frame},
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

const LIMITS: LagLimits = LagLimits { queue_max_bytes: 1 << 30, queue_max_ms: 1 << 30, stall_max: PATIENCE };

/// The kernel buffers a few of these for a connection.
const LARGE_BYTES: usize = 1 << 20;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn keyframe(at_ms: u32, size_bytes: usize) -> Frame {
    larger(samples::keyframe(at_ms), size_bytes)
}

fn larger(frame: Frame, by_bytes: usize) -> Frame {
    let payload = [&frame.payload[..], &vec![frame.timestamp_ms as u8; by_bytes]].concat().into();
    Frame { payload, ..frame }
}

/// More than the kernel holds, each frame a batch of its own.
fn many_batches() -> Vec<Arc<Batch>> {
    flush((0..40).map(|at_ms| keyframe(at_ms, LARGE_BYTES)))
}

/// As much in one.
fn one_batch() -> Vec<Arc<Batch>> {
    flush((0..40).map(|at_ms| match at_ms {
        0 => keyframe(at_ms, LARGE_BYTES),
        _ => larger(samples::inter(at_ms), LARGE_BYTES),
    }))
}

/// One flush, which each keyframe begins a batch of.
fn flush(frames: impl IntoIterator<Item = Frame>) -> Vec<Arc<Batch>> {
    let mut batcher = Batcher::default();
    for frame in frames {
        batcher.push(frame).unwrap();
    }
    batcher.flush()
}

/// The socket of a viewer whom nothing waits for, and the viewer.
async fn flowing() -> (ViewerSocket, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut viewer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let mut socket = ViewerSocket::new(socket.into(), WireFormat::Flv, now());
    socket.send(&flush([samples::keyframe(0)]), &LIMITS, now()).unwrap();
    receive(&mut viewer, socket.sent_bytes() as usize).await;
    (socket, viewer)
}

async fn receive(viewer: &mut TcpStream, size_bytes: usize) -> Vec<u8> {
    let mut received = vec![0; size_bytes];
    timeout(PATIENCE, viewer.read_exact(&mut received)).await.expect("it comes").unwrap();
    received
}

#[actix_rt::test]
async fn batches_of_one_flush_arrive_in_order_however_many_they_are() {
    let (mut socket, mut viewer) = flowing().await;
    for count in [1, 2, SLICES_MAX, 3 * SLICES_MAX + 1] {
        let batches = flush((0..count as u32).map(|at| keyframe(at, 10)));
        assert_eq!(batches.len(), count);
        socket.send(&batches, &LIMITS, now()).unwrap();
        assert!(socket.is_empty());
        let expected: Vec<u8> = batches.iter().flat_map(|batch| batch.flv().to_vec()).collect();
        assert_eq!(receive(&mut viewer, expected.len()).await, expected);
    }
}

#[actix_rt::test]
async fn what_a_full_socket_does_not_take_follows_when_it_does() {
    let (mut socket, mut viewer) = flowing().await;
    let (sender, wakes) = mpsc::channel();
    for (batches, count) in [(many_batches(), 40), (one_batch(), 1)] {
        assert_eq!(batches.len(), count);
        let expected: Vec<u8> = batches.iter().flat_map(|batch| batch.flv().to_vec()).collect();
        socket.send(&batches, &LIMITS, now()).unwrap();
        assert!(!socket.is_empty(), "the kernel does not hold all of it");
        let sending = async {
            while !socket.is_empty() {
                let sender = sender.clone();
                socket.notify_writable(move || move || sender.send(()).unwrap());
                assert!(is_woken(&wakes, PATIENCE).await, "the socket takes more");
                socket.resume(now()).unwrap();
            }
        };
        let (received, ()) = tokio::join!(receive(&mut viewer, expected.len()), sending);
        assert!(received == expected);
    }
}

#[actix_rt::test]
async fn no_viewer_is_woken_before_a_full_socket_takes_more() {
    let (mut socket, mut viewer) = flowing().await;
    let before_bytes = socket.sent_bytes();
    socket.send(&one_batch(), &LIMITS, now()).unwrap();
    let (sender, wakes) = mpsc::channel();
    loop {
        let sender = sender.clone();
        socket.notify_writable(move || move || sender.send(()).unwrap());
        // The kernel may find some more room at first.
        if !is_woken(&wakes, Duration::from_millis(50)).await {
            break;
        }
        socket.resume(now()).unwrap();
    }
    receive(&mut viewer, (socket.sent_bytes() - before_bytes) as usize).await;
    assert!(is_woken(&wakes, PATIENCE).await);
}

/// Returns whether the waker is called within the time.
async fn is_woken(wakes: &mpsc::Receiver<()>, patience: Duration) -> bool {
    let telling = async {
        while wakes.try_recv().is_err() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(patience, telling).await.is_ok()
}

#[actix_rt::test]
async fn a_disconnected_peer_is_an_error() {
    let (mut socket, viewer) = flowing().await;
    drop(viewer);
    let sent = timeout(PATIENCE, async {
        loop {
            if let Err(error) = socket.send(&flush([samples::keyframe(33)]), &LIMITS, now()) {
                return error;
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    let error = sent.await.expect("the peer's reset comes");
    assert!(matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{error}");
}
