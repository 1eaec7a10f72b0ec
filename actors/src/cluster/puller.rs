//! Feeds a stream from the node that publishes its room, and follows the room to wherever it is published next.

mod connection;
mod park_pull;
mod upgrade;

use std::{convert::Infallible, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, Recipient, WrapFuture,
};
use log::{debug, error, info, warn};
use synctv_media::stream::{publication_resume::PublicationResume, room::RoomName};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use self::connection::{OriginConnection, PullError, Request, RestingConnection};
use self::park_pull::{Asked, Halt, ParkPull, until_asked};
use crate::{
    cluster::{
        origin::{Origin, Trace},
        registry::{Freshness, RegistryHandle},
        store::StoreError,
    },
    events::{Dismissed, FromOrigin, PullerId, StreamSettings, Update},
    metrics::PullOutcome,
    stream::StreamMeters,
};

/// Delays before the registry is asked again: at the first attempt and at each further one.
const RETRY_DELAYS_MS: [u64; 5] = [0, 100, 200, 400, 500];

/// Delay before the registry is asked again while the room is reserved for its publisher, who is on the way from one
/// node to another. It is short because viewers notice each wait.
const EXPECTED_RETRY: Duration = Duration::from_millis(50);

/// A connection that lasted for so long worked: when it breaks, the first attempt follows at once.
const STEADY: Duration = Duration::from_secs(1);

/// Time without data after which the registry is asked whether the room is still published there.
const SILENCE: Duration = Duration::from_secs(3);

/// Silences in a row after which the connection is made anew: a dead line looks like an encoder that pauses.
const SILENCES_MAX: usize = 4;

/// Time that the registry may take to locate a room.
const LOCATE_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads the head of an origin's answer.
#[cfg(any(test, feature = "testing"))]
pub fn fuzz_head(data: &[u8]) {
    connection::fuzz_head(data);
}

/// The actor. A child of its stream, on the stream's thread.
pub(crate) struct PullerActor;

/// Stops the [`PullerActor`] when it is dropped.
#[derive(Debug)]
pub(crate) struct PullerHandle {
    id: PullerId,
    address: Addr<PullerActor>,
    /// Takes the request to stop for an upgrade, once.
    parking: Option<oneshot::Sender<ParkPull>>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

/// One room to be pulled, for one stream.
pub(crate) struct Pull {
    id: PullerId,
    room: RoomName,
    settings: Arc<StreamSettings>,
    registry: RegistryHandle,
    stream: Recipient<FromOrigin>,
    meters: StreamMeters,
}

/// A publication on another node, and how far it was taken.
#[derive(Debug)]
pub(crate) struct Followed {
    origin: Origin,
    resume: PublicationResume,
    /// The connection from before an upgrade, until the puller resumes it.
    connection: Option<RestingConnection>,
}

impl PullerHandle {
    /// Starts a puller on the current thread. `located` is where the room was found, if it was.
    pub(crate) fn start(pull: Pull, located: Option<Origin>) -> Self {
        Self::follow(pull, located.map(Followed::new))
    }

    /// Starts a puller that goes on with a publication, if there is one.
    fn follow(pull: Pull, followed: Option<Followed>) -> Self {
        let id = pull.id;
        let (parking, asked) = oneshot::channel();
        let address = PullerActor::create(move |ctx| {
            let run = pull.run_until_parked(followed, asked);
            ctx.spawn(run.into_actor(&PullerActor).map(|(), _, ctx| ctx.stop()));
            PullerActor
        });
        Self { id, address, parking: Some(parking) }
    }

    pub(crate) fn id(&self) -> PullerId {
        self.id
    }
}

impl Drop for PullerHandle {
    fn drop(&mut self) {
        self.address.do_send(Stop);
    }
}

impl Actor for PullerActor {
    type Context = Context<Self>;
}

impl Handler<Stop> for PullerActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Pull {
    /// To feed `stream` with `room`.
    pub(crate) fn new(
        room: RoomName,
        settings: Arc<StreamSettings>,
        registry: RegistryHandle,
        stream: Recipient<FromOrigin>,
        meters: StreamMeters,
    ) -> Self {
        Self { id: PullerId::unique(), room, settings, registry, stream, meters }
    }

    /// Feeds the stream until the stream needs no more, or the puller is asked to park. The puller parks only where it waits
    /// for something other than the stream: frames that were taken reach the stream.
    async fn run(&self, followed: &mut Option<Followed>, asked: &mut Asked) -> Result<Infallible, Halt> {
        let mut is_located = followed.is_some();
        let mut attempt = 0;
        loop {
            let is_expected = !is_located && self.look(followed, asked).await?;
            is_located = false;
            if let Some(followed) = followed
                && self.follow(followed, attempt, asked).await?
            {
                attempt = 0;
            }
            let pause = if is_expected { EXPECTED_RETRY } else { retry_delay(attempt) };
            until_asked(asked, sleep(pause)).await?;
            attempt = attempt.saturating_add(1);
        }
    }

    /// Asks the registry where the room is. While it does not answer, the last origin is used. Returns whether the
    /// publisher is about to come back somewhere.
    async fn look(&self, followed: &mut Option<Followed>, asked: &mut Asked) -> Result<bool, Halt> {
        let located = until_asked(asked, self.locate()).await?;
        let is_expected = located.as_ref().is_ok_and(|found| found.current.is_none() && found.is_reserved);
        match (located.map(|found| found.current), followed.as_mut()) {
            (Ok(Some(origin)), Some(same)) if same.is_publication(&origin) => same.origin = origin,
            (Ok(found), last) => {
                let was_followed = last.is_some();
                *followed = found.map(Followed::new);
                if was_followed {
                    info!(room = self.room.as_str(); "the pulled publication is over");
                    self.announce(Update::Over).await?;
                }
            }
            (Err(error), _) => {
                debug!(room = self.room.as_str(), reason:% = error; "the registry does not say where the room is");
            }
        }
        Ok(is_expected)
    }

    /// Takes the origin's media. Returns, when no more comes, whether that worked for a while.
    async fn follow(&self, followed: &mut Followed, attempt: usize, asked: &mut Asked) -> Result<bool, Halt> {
        let mut connection = match self.resume(followed).await? {
            Some(connection) => connection,
            None => match self.open(followed, attempt, asked).await? {
                Some(connection) => connection,
                None => return Ok(false),
            },
        };
        let began = Instant::now();
        let taken = self.take(&mut connection, followed, asked).await;
        if let Err(Halt::Parked(_)) = taken {
            followed.connection = connection.rest().inspect_err(log_anew).ok();
        }
        let error = taken?;
        info!(room = self.room.as_str(), node = followed.origin.node.as_str(), reason:% = error,
            seconds = began.elapsed().as_secs(); "pull broke");
        self.announce(Update::Broken).await?;
        Ok(began.elapsed() >= STEADY)
    }

    /// Resumes the connection from before an upgrade, if there is one.
    async fn resume(&self, followed: &mut Followed) -> Result<Option<OriginConnection>, Halt> {
        let resting = followed.connection.take();
        let connection = resting.and_then(|resting| resting.resume().inspect_err(log_anew).ok());
        if connection.is_some() {
            self.announce(Update::Resumed).await?;
        }
        Ok(connection)
    }

    /// Connects to the origin. `None` if it does not answer, or refuses.
    async fn open(
        &self,
        followed: &mut Followed,
        attempt: usize,
        asked: &mut Asked,
    ) -> Result<Option<OriginConnection>, Halt> {
        let Self { room, settings, .. } = self;
        let Origin { node, epoch, addresses } = &followed.origin;
        let address = addresses.httpflv.as_str();
        let began = Instant::now();
        let opened = OriginConnection::open(Request {
            address,
            room,
            nodes: &settings.pull.nodes,
            frame_limit_bytes: settings.pull.frame_limit_bytes,
        });
        let opened = until_asked(asked, opened).await?;
        self.note_opened(began.elapsed(), &opened);
        let connection = match opened {
            Ok(connection) => connection,
            Err(error) => {
                let level = if attempt == 0 { log::Level::Info } else { log::Level::Debug };
                log::log!(level, room = room.as_str(), node = node.as_str(), address = address, reason:% = error;
                    "pull failed");
                return Ok(None);
            }
        };
        info!(room = room.as_str(), node = node.as_str(), address = address, epoch = *epoch; "pull began");
        let node = node.clone();
        followed.resume.reconnected();
        self.announce(Update::Connected { node }).await?;
        Ok(Some(connection))
    }

    fn note_opened<T>(&self, took: Duration, opened: &Result<T, PullError>) {
        let metrics = self.meters.node();
        let outcome = match opened {
            Ok(_) => PullOutcome::Ok,
            Err(PullError::Refused(_)) => PullOutcome::Refused,
            Err(_) => PullOutcome::Error,
        };
        metrics.pull_opens.get(outcome).inc();
        metrics.pull_open.observe(took);
    }

    /// Feeds the stream until nothing more comes.
    async fn take(
        &self,
        connection: &mut OriginConnection,
        followed: &mut Followed,
        asked: &mut Asked,
    ) -> Result<PullError, Halt> {
        let mut silences = 0;
        loop {
            match until_asked(asked, timeout(SILENCE, connection.read())).await? {
                Ok(Ok(frames)) => {
                    silences = 0;
                    let taken = followed.resume.take(frames);
                    if !taken.frames.is_empty() {
                        let (frames, after_hole) = (taken.frames, taken.after_hole);
                        self.announce(Update::Media { frames, after_hole }).await?;
                    }
                }
                Ok(Err(error)) => return Ok(error),
                Err(_) => {
                    silences += 1;
                    if silences == SILENCES_MAX || until_asked(asked, self.has_moved(followed)).await? {
                        return Ok(PullError::Silent);
                    }
                }
            }
        }
    }

    /// Returns whether the registry says that the publication is over.
    async fn has_moved(&self, followed: &Followed) -> bool {
        let located = self.locate().await;
        located.is_ok_and(|found| found.current.is_none_or(|origin| !followed.is_publication(&origin)))
    }

    async fn locate(&self) -> Result<Trace, StoreError> {
        let located = timeout(LOCATE_TIMEOUT, self.registry.trace(self.room.clone(), Freshness::Anew)).await;
        located
            .unwrap_or_else(|_| Err(StoreError(format!("no answer within {} s", LOCATE_TIMEOUT.as_secs()))))
    }

    async fn announce(&self, update: Update) -> Result<(), Dismissed> {
        self.stream.send(FromOrigin { puller: self.id, update }).await.unwrap_or(Err(Dismissed))
    }
}

/// Reports a panic as a broken connection: otherwise the stream would stay live and silent for ever.
impl Drop for Pull {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(room = self.room.as_str(); "pull ended");
            self.stream.do_send(FromOrigin { puller: self.id, update: Update::Broken });
        }
    }
}

impl Followed {
    fn new(origin: Origin) -> Self {
        Self { origin, resume: PublicationResume::default(), connection: None }
    }

    fn is_publication(&self, origin: &Origin) -> bool {
        self.origin.node == origin.node && self.origin.epoch == origin.epoch
    }
}

/// Logs that a connection does not go on over an upgrade. The media that was missed is in the origin's cache.
fn log_anew(error: &impl std::fmt::Display) {
    warn!(reason:% = error; "the connection to the origin is made anew");
}

fn retry_delay(attempt: usize) -> Duration {
    let [.., longest_ms] = RETRY_DELAYS_MS;
    Duration::from_millis(RETRY_DELAYS_MS.get(attempt).copied().unwrap_or(longest_ms))
}

#[cfg(test)]
mod tests;
