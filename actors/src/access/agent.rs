//! The actor that talks to services: the identity provider, the callback, and the receiver of events.
//!
//! On a thread of its own, as the HTTP client is bound to one and its work is not the viewers'.

mod client;
mod event_queue;

use std::{fmt, rc::Rc, sync::Arc, time::Duration};

use actix::{
    Actor, ActorFutureExt, Addr, Arbiter, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};
use log::{info, warn};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use self::{client::ServiceClient, event_queue::EventQueue};
use super::{
    callback_message::{Answer, Question, Unanswered, read_answer},
    events::Event,
    service_url::ServiceUrl,
    tokens::KeySet,
};
use crate::{metrics::Age, upgrade::states::EventsState};

/// Questions that are asked at once. Further ones wait for their turn.
const QUESTIONS_MAX: usize = 64;

/// The longest answer of the callback that is read, in bytes.
const ANSWER_MAX_BYTES: usize = 16 * 1024;

/// Interval of checks for keys that are due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The age at which keys are fetched again.
const KEYS_MAX_AGE: Duration = Duration::from_secs(3600);

/// The shortest time between two fetches of keys, however many tokens name keys that are not there.
const KEYS_MIN_AGE: Duration = Duration::from_secs(10);

const KEYS_TIMEOUT: Duration = Duration::from_secs(5);
const KEYS_MAX_BYTES: usize = 128 * 1024;

/// The services that are configured.
#[derive(Debug, Clone)]
pub(super) struct AgentSettings {
    /// The identity provider's key set, and where its keys go.
    pub keys: Option<(ServiceUrl, Arc<KeySet>)>,
    /// The time since keys were fetched.
    pub keys_age: Age,
    /// The callback, and how long it may take.
    pub callback: Option<(ServiceUrl, Duration)>,
    /// The receiver of events.
    pub events: Option<ServiceUrl>,
    /// This node's name, for events.
    pub node: String,
}

impl AgentSettings {
    pub fn is_needed(&self) -> bool {
        self.keys.is_some() || self.callback.is_some() || self.events.is_some()
    }

    fn needs_tls(&self) -> bool {
        let keys = self.keys.as_ref().map(|(url, _)| url);
        let callback = self.callback.as_ref().map(|(url, _)| url);
        [keys, callback, self.events.as_ref()].into_iter().flatten().any(ServiceUrl::is_tls)
    }
}

/// Talks to the [`AccessAgentActor`].
#[derive(Clone)]
pub(super) struct AgentHandle(Addr<AccessAgentActor>);

pub(super) struct AccessAgentActor {
    client: Rc<ServiceClient>,
    settings: AgentSettings,
    turns: Rc<Semaphore>,
    keys: KeysState,
    events: Option<EventQueue>,
}

/// The fetches of keys.
struct KeysState {
    is_fetching: bool,
    fetched: Option<Instant>,
    /// A failure was logged, and no success since.
    is_failing: bool,
}

#[derive(Message)]
#[rtype(result = "Answer")]
struct Ask(Question);

#[derive(Message)]
#[rtype(result = "()")]
struct Report(Event);

/// The node is upgraded in place: reports wait for the next program.
#[derive(Message)]
#[rtype(result = "Option<EventsState>")]
struct ParkEvents;

/// The reports of before an upgrade go on.
#[derive(Message)]
#[rtype(result = "()")]
struct ResumeEvents(Option<EventsState>);

impl AgentHandle {
    /// Starts the agent on a thread of its own.
    pub fn start(settings: AgentSettings) -> Self {
        Self(AccessAgentActor::start_in_arbiter(&Arbiter::new().handle(), |_| AccessAgentActor {
            client: Rc::new(ServiceClient::new(settings.needs_tls())),
            turns: Rc::new(Semaphore::new(QUESTIONS_MAX)),
            keys: KeysState { is_fetching: false, fetched: None, is_failing: false },
            events: settings.events.clone().map(|url| EventQueue::new(url, &settings.node)),
            settings,
        }))
    }

    /// Asks the callback.
    pub async fn ask(&self, question: Question) -> Answer {
        self.0.send(Ask(question)).await.unwrap_or(Err(Unanswered::Failed))
    }

    /// Queues a report. It is dropped if too many wait.
    pub fn report(&self, event: Event) {
        self.0.do_send(Report(event));
    }

    /// Stops sending reports, and returns those that were not sent, including the newest.
    pub async fn park_events(&self) -> Option<EventsState> {
        self.0.send(ParkEvents).await.ok().flatten()
    }

    /// Resumes sending reports, those from before an upgrade first.
    pub fn resume_events(&self, state: Option<EventsState>) {
        self.0.do_send(ResumeEvents(state));
    }
}

impl AccessAgentActor {
    /// Fetches keys when they are too old, or missed.
    fn look_at_keys(&mut self, ctx: &mut Context<Self>) {
        let Some((url, keys)) = &self.settings.keys else { return };
        let age = self.keys.fetched.map(|fetched| fetched.elapsed());
        let is_due = match age {
            None => true,
            Some(age) if age < KEYS_MIN_AGE => false,
            Some(age) => age >= KEYS_MAX_AGE || self.keys.is_failing || keys.take_missed(),
        };
        if !is_due || self.keys.is_fetching {
            return;
        }
        self.keys.is_fetching = true;
        self.keys.fetched = Some(Instant::now());
        let (client, url, keys) = (self.client.clone(), url.clone(), keys.clone());
        let fetched = async move {
            let answer =
                client.get(&url, KEYS_TIMEOUT, KEYS_MAX_BYTES).await.map_err(|error| error.to_string())?;
            match answer.status {
                200 => keys.replace(&answer.body).map_err(ToOwned::to_owned),
                status => Err(format!("it answers with status {status}")),
            }
        };
        ctx.spawn(fetched.into_actor(self).map(|fetched, agent, _| agent.keys_fetched(fetched)));
    }

    fn keys_fetched(&mut self, fetched: Result<usize, String>) {
        self.keys.is_fetching = false;
        let was_failing = std::mem::replace(&mut self.keys.is_failing, fetched.is_err());
        match fetched {
            Ok(keys) => {
                self.settings.keys_age.note();
                info!(keys = keys; "token keys fetched");
            }
            Err(reason) if !was_failing => {
                warn!(setting = "TOKEN_JWKS_URL", reason = reason.as_str(); "token keys cannot be fetched");
            }
            Err(_) => {}
        }
    }
}

impl Actor for AccessAgentActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look_at_keys(ctx);
        if self.settings.keys.is_some() {
            ctx.run_interval(LOOK_INTERVAL, Self::look_at_keys);
        }
    }
}

impl Handler<Ask> for AccessAgentActor {
    type Result = ResponseFuture<Answer>;

    fn handle(&mut self, Ask(question): Ask, _: &mut Self::Context) -> Self::Result {
        let Some((url, patience)) = self.settings.callback.clone() else {
            return Box::pin(std::future::ready(Err(Unanswered::Failed)));
        };
        let (client, turns) = (self.client.clone(), self.turns.clone());
        Box::pin(async move {
            let Ok(Ok(_turn)) = timeout(patience, turns.acquire()).await else {
                return Err(Unanswered::Late);
            };
            match client.post(&url, &question, patience, ANSWER_MAX_BYTES).await {
                Ok(answer) => read_answer(answer.status, &answer.body).inspect_err(|_| {
                    warn!(setting = "AUTH_URL", status = answer.status; "access callback failed");
                }),
                Err(error) => {
                    warn!(setting = "AUTH_URL", reason:% = error; "access callback failed");
                    Err(if error.is_timeout() { Unanswered::Late } else { Unanswered::Failed })
                }
            }
        })
    }
}

impl Handler<Report> for AccessAgentActor {
    type Result = ();

    fn handle(&mut self, Report(event): Report, ctx: &mut Self::Context) {
        let Some(events) = &mut self.events else { return };
        if events.push(event) {
            self.send_next(ctx);
        }
    }
}

impl Handler<ParkEvents> for AccessAgentActor {
    type Result = Option<EventsState>;

    fn handle(&mut self, _: ParkEvents, _: &mut Self::Context) -> Self::Result {
        self.events.as_mut().map(EventQueue::park)
    }
}

impl Handler<ResumeEvents> for AccessAgentActor {
    type Result = ();

    fn handle(&mut self, ResumeEvents(state): ResumeEvents, ctx: &mut Self::Context) {
        let Some(events) = &mut self.events else { return };
        events.resume(state);
        if events.is_idle() {
            self.send_next(ctx);
        }
    }
}

impl AccessAgentActor {
    /// Sends the events that wait, one after the other, so that they arrive in order.
    fn send_next(&mut self, ctx: &mut Context<Self>) {
        let Some(delivery) = self.events.as_mut().and_then(|events| events.next(&self.client)) else {
            return;
        };
        ctx.spawn(delivery.into_actor(self).map(|sent, agent, ctx| {
            if let Some(events) = &mut agent.events {
                events.sent(sent);
            }
            agent.send_next(ctx);
        }));
    }
}

impl fmt::Debug for AgentHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentHandle")
    }
}
