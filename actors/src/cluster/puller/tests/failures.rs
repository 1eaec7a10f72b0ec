//! Origins and a registry that fail are tried again, at a pace, and viewers keep their streams.

use super::*;

#[actix_rt::test]
async fn a_room_that_ended_before_its_node_is_asked_is_not_live() {
    let bench = Bench::new().await;
    let refused = async {
        bench.port.refuse("404 Not Found").await;
        bench.store.locate_at(Ok(None));
    };
    let (opened, ()) = tokio::join!(bench.watch(), refused);
    assert_eq!(opened.unwrap_err(), OpenError::NotLive(room("r")));
}

#[actix_rt::test]
async fn a_node_that_cannot_be_reached_is_named_after_a_few_seconds() {
    let bench = Bench::new().await;
    let origin = bench.port.origin("n2", 7);
    drop(bench.port);
    bench.store.locate_at(Ok(Some(origin)));
    let began = Instant::now();
    let opened = bench.directory.open(&to_play(room("r"))).await;
    assert_eq!(opened.unwrap_err(), OpenError::OriginSilent { node: "n2".to_owned() });
    assert!(began.elapsed() <= Duration::from_secs(6));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(bench.directory.find(room("r")).await.unwrap().is_none());
}

#[actix_rt::test]
async fn a_registry_that_does_not_answer_is_no_missing_room() {
    let bench = Bench::new().await;
    bench.store.locate_at(Err(StoreError("down".to_owned())));
    let opened = bench.watch().await;
    assert_eq!(opened.unwrap_err(), OpenError::Registry(StoreError("down".to_owned())));
}

#[actix_rt::test]
async fn without_a_registry_a_pull_goes_on_and_a_broken_one_tries_its_last_origin() {
    let bench = Bench::new().await;
    let (mut viewer, _stream, mut pulled) = bench.watched().await;
    bench.store.locate_at(Err(StoreError("down".to_owned())));
    tokio::time::sleep(Duration::from_secs(4)).await;
    pulled.send(vec![samples::inter(33)]).await;
    assert_eq!(all_video(&mut viewer, 33).await, [33]);
    drop(pulled);
    let mut frames = opening(0);
    frames.extend([samples::inter(33), samples::inter(66)]);
    let _pulled = bench.port.serve(frames).await;
    assert_eq!(all_video(&mut viewer, 66).await, [66]);
}

#[actix_rt::test]
async fn a_silent_origin_is_left_when_another_node_has_the_room() {
    let bench = Bench::new().await;
    let (mut viewer, _stream, mut silent) = bench.watched().await;
    tokio::time::sleep(2 * SILENCE).await;
    let next = Port::open().await;
    bench.store.locate_at(Ok(Some(next.origin("n3", 8))));
    let _pulled = next.serve(opening(0)).await;
    assert_eq!(all_video(&mut viewer, 33).await, [0, 33]);
    assert!(silent.is_closed().await);
}

#[actix_rt::test]
async fn a_silent_line_to_the_same_publication_is_made_anew() {
    let bench = Bench::new().await;
    let (mut viewer, _stream, _silent) = bench.watched().await;
    let began = Instant::now();
    let mut frames = opening(0);
    frames.push(samples::inter(33));
    let _pulled = bench.port.serve(frames).await;
    assert!(began.elapsed() >= 3 * SILENCE, "a pause of the encoder's is waited for");
    assert_eq!(all_video(&mut viewer, 33).await, [33]);
}

#[actix_rt::test]
async fn an_origin_that_sends_something_else_is_not_asked_all_the_time() {
    let bench = Bench::new().await;
    let asked = Rc::new(RefCell::new(0));
    let count = asked.clone();
    let port = bench.port;
    actix_rt::spawn(async move {
        loop {
            let (mut socket, _) = port.request().await;
            *count.borrow_mut() += 1;
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n<html>").await;
        }
    });
    let stream = bench.directory.open(&to_play(room("r"))).await.unwrap();
    ProbeHandle::start().join(&stream, 0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!((15..30).contains(&*asked.borrow()), "{}", asked.borrow());
}

/// A stream's side of a puller.
struct Fed(tokio::sync::mpsc::UnboundedSender<Update>);

impl Actor for Fed {
    type Context = Context<Self>;
}

impl Handler<FromOrigin> for Fed {
    type Result = Result<(), Dismissed>;

    fn handle(&mut self, FromOrigin { update, .. }: FromOrigin, _: &mut Self::Context) -> Self::Result {
        let _ = self.0.send(update);
        Ok(())
    }
}

#[actix_rt::test]
async fn a_puller_that_panics_is_a_broken_connection_to_its_stream() {
    let (sender, mut updates) = tokio::sync::mpsc::unbounded_channel();
    let registry =
        RegistryHandle::start_on(&actix_rt::Arbiter::current(), Duration::from_secs(60), FakeStore::new);
    let stream = Fed(sender).start().recipient();
    let pull =
        Pull::new(room("r"), Arc::new(settings()), registry, stream, StreamMeters::new(Arc::default()));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _pull = pull;
        panic!("for a test");
    }));
    assert!(panicked.is_err());
    assert!(matches!(updates.recv().await, Some(Update::Broken)));
}
