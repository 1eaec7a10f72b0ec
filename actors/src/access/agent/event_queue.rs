//! Events on their way to their receiver.

use std::{
    collections::{VecDeque, hash_map::RandomState},
    future::Future,
    hash::BuildHasher,
    rc::Rc,
    time::Duration,
};

use log::warn;
use serde::Serialize;
use tokio::time::sleep;

use super::client::ServiceClient;
use crate::{
    access::{events::Event, service_url::ServiceUrl},
    upgrade::states::EventsState,
};

/// Events that wait. Further ones are dropped.
const EVENTS_MAX: usize = 1_000;

/// The time that the receiver has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before each further try.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

const ANSWER_MAX_BYTES: usize = 16 * 1024;

/// The events of this node that were not delivered yet.
pub(super) struct EventQueue {
    url: ServiceUrl,
    node: Rc<str>,
    /// Distinguishes this process from an earlier one of the same node, whose numbers began at 1 as well.
    process: u64,
    waiting: VecDeque<Event>,
    /// The one that is under way.
    sending: Option<Event>,
    /// Reports are held: the next program sends them, unless the upgrade fails.
    is_parked: bool,
    dropped: u64,
    is_failing: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    id: String,
    node: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

impl EventQueue {
    pub fn new(url: ServiceUrl, node: &str) -> Self {
        Self {
            url,
            node: node.into(),
            process: RandomState::new().hash_one(std::process::id()),
            waiting: VecDeque::new(),
            sending: None,
            is_parked: false,
            dropped: 0,
            is_failing: false,
        }
    }

    /// Takes an event in. Returns whether sending is to be begun.
    pub fn push(&mut self, event: Event) -> bool {
        if self.waiting.len() >= EVENTS_MAX {
            if self.dropped == 0 {
                warn!(setting = "EVENTS_URL", limit = EVENTS_MAX; "event queue full, events are dropped");
            }
            self.dropped += 1;
            return false;
        }
        self.waiting.push_back(event);
        self.sending.is_none()
    }

    /// The delivery of the next event; it returns why that failed, if it did.
    pub fn next(
        &mut self,
        client: &Rc<ServiceClient>,
    ) -> Option<impl Future<Output = Result<(), String>> + use<>> {
        self.sending = if self.is_parked { None } else { self.waiting.pop_front() };
        let (event, client, url) = (self.sending.clone()?, client.clone(), self.url.clone());
        let (node, id) = (self.node.clone(), format!("{:x}-{}", self.process, event.number));
        Some(async move {
            let body = Body { id, node: &node, event: &event };
            let mut sent = deliver(&client, &url, &body).await;
            for delay in RETRY_DELAYS {
                if sent.is_ok() {
                    break;
                }
                sleep(delay).await;
                sent = deliver(&client, &url, &body).await;
            }
            sent
        })
    }

    /// An event was delivered, or given up.
    pub fn sent(&mut self, sent: Result<(), String>) {
        self.sending = None;
        let was_failing = std::mem::replace(&mut self.is_failing, sent.is_err());
        match sent {
            Err(reason) if !was_failing => {
                warn!(setting = "EVENTS_URL", reason = reason.as_str(); "an event could not be delivered");
            }
            Ok(()) if self.dropped > 0 => {
                warn!(setting = "EVENTS_URL", events = std::mem::take(&mut self.dropped); "events were dropped");
            }
            _ => {}
        }
    }
}

impl EventQueue {
    /// Stops sending, and returns events that are not known to be delivered. An event under way is not awaited: its receiver may take
    /// seconds to answer, in which nothing else would move.
    pub fn park(&mut self) -> EventsState {
        self.is_parked = true;
        let waiting = self.sending.iter().chain(&self.waiting).map(Event::state).collect();
        EventsState {
            process: self.process,
            next_number: Event::next_number(),
            dropped: self.dropped,
            waiting,
        }
    }

    /// Sends the events from before an upgrade first. After an upgrade that failed, they are here already.
    pub fn resume(&mut self, state: Option<EventsState>) {
        let has_all = std::mem::take(&mut self.is_parked);
        let Some(state) = state.filter(|_| !has_all) else { return };
        self.process = state.process;
        self.dropped += state.dropped;
        let before = state.waiting.into_iter().map(Event::restore);
        let since = std::mem::take(&mut self.waiting);
        self.waiting = before.chain(since).take(EVENTS_MAX + 1).collect();
    }

    /// Returns whether none is under way.
    pub fn is_idle(&self) -> bool {
        self.sending.is_none()
    }
}

async fn deliver(client: &ServiceClient, url: &ServiceUrl, body: &Body<'_>) -> Result<(), String> {
    let answer = client.post(url, body, TIMEOUT, ANSWER_MAX_BYTES).await;
    match answer.map_err(|error| error.to_string())?.status {
        200..=299 => Ok(()),
        status => Err(format!("it answers with status {status}")),
    }
}
