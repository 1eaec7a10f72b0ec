//! The HTTP callback that decides where no valid token does, and a cache of its answers.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sha2::{Digest, Sha256};
use synctv_media::{
    access::{Action, Refusal},
    hls::blocking_request::without_directives,
};
use tokio::time::Instant;

use super::{
    agent::AgentHandle,
    callback_message::{Approval, Question, YES_MAX, outcome},
    judge::hex,
    request::AccessRequest,
};
use crate::{bounded_cache::BoundedCache, metrics::AccessMetrics};

/// Time that a refusal is cached.
const REFUSAL_FRESH: Duration = Duration::from_secs(5);

/// Answers that are remembered.
const ANSWERS_MAX: usize = 10_000;

/// The identity of a question: all that its answer may depend on.
pub(super) type QuestionKey = [u8; 32];

/// Asks the callback, and remembers its answers.
pub(super) struct Callback {
    agent: AgentHandle,
    node: String,
    answers: Mutex<BoundedCache<QuestionKey, Remembered>>,
    metrics: AccessMetrics,
}

struct Remembered {
    answer: Result<Approval, Refusal>,
    fresh_until: Instant,
    /// While the callback does not answer.
    usable_until: Instant,
}

impl Callback {
    pub fn new(agent: AgentHandle, node: &str, metrics: AccessMetrics) -> Self {
        Self { agent, node: node.to_owned(), answers: Mutex::new(BoundedCache::new(ANSWERS_MAX)), metrics }
    }

    /// The answer that is remembered of a request.
    pub fn fresh(&self, key: &QuestionKey, now: Instant) -> Option<Result<Approval, Refusal>> {
        let answers = self.answers();
        answers.get(key).filter(|known| known.fresh_until > now).map(|known| known.answer.clone())
    }

    /// Asks the callback, unless its answer is cached. While the callback does not answer, an earlier permission stands in.
    pub async fn ask(
        &self,
        key: QuestionKey,
        action: Action,
        request: &AccessRequest<'_>,
    ) -> Result<Approval, Refusal> {
        let asked = Instant::now();
        let answer = self.agent.ask(self.question(action, request)).await;
        let now = Instant::now();
        self.metrics.callback.observe(now - asked);
        self.metrics.callbacks.get(outcome(&answer)).inc();
        let Ok(answer) = answer else {
            return self.stand_in(&key, now).ok_or(Refusal::Unavailable);
        };
        self.remember(key, answer.clone(), now);
        answer
    }

    fn question(&self, action: Action, request: &AccessRequest<'_>) -> Question {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Question {
            id: format!("{}-{}", self.node, NEXT.fetch_add(1, Ordering::Relaxed)),
            action: action.as_str(),
            room: request.room.to_string(),
            protocol: request.protocol.as_str(),
            peer: request.peer.ip().to_canonical().to_string(),
            node: self.node.clone(),
            query: without_directives(request.query).into_owned(),
            authorization: request.authorization.map(ToOwned::to_owned),
            user_agent: request.user_agent.map(ToOwned::to_owned),
        }
    }

    /// An earlier permission, while the callback cannot be asked.
    pub fn stand_in(&self, key: &QuestionKey, now: Instant) -> Option<Approval> {
        let answers = self.answers();
        answers.get(key).filter(|known| known.usable_until > now)?.answer.clone().ok()
    }

    fn remember(&self, key: QuestionKey, answer: Result<Approval, Refusal>, now: Instant) {
        let (fresh, usable) = match &answer {
            Ok(approval) => (approval.fresh_for, YES_MAX),
            Err(_) => (REFUSAL_FRESH, Duration::ZERO),
        };
        let mut answers = self.answers();
        answers.make_room_by(&[&|known| known.fresh_until > now || known.usable_until > now, &|known| {
            known.fresh_until > now
        }]);
        let (fresh_until, usable_until) = (now + fresh, now + usable);
        answers.insert(key, Remembered { answer, fresh_until, usable_until });
    }

    fn answers(&self) -> MutexGuard<'_, BoundedCache<QuestionKey, Remembered>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}

/// The key of a request's question: all that the callback is given of the client, as it may decide by any of it.
pub(super) fn question_key(action: Action, request: &AccessRequest<'_>) -> QuestionKey {
    let mut hash = client_hash(action, request);
    hash.update(request.user_agent.unwrap_or_default().as_bytes());
    hash.finalize().into()
}

/// The name under which a client's connections are counted if the callback gives it none. Not by its program: it could say
/// another one for each.
pub(super) fn counting_name(action: Action, request: &AccessRequest<'_>) -> String {
    hex(&client_hash(action, request).finalize())
}

fn client_hash(action: Action, request: &AccessRequest<'_>) -> Sha256 {
    let mut hash = Sha256::new();
    let address = request.peer.ip().to_canonical().to_string();
    let query = without_directives(request.query);
    let parts = [
        action.as_str(),
        request.room.as_str(),
        &address,
        request.protocol.as_str(),
        request.authorization.unwrap_or_default(),
        &query,
    ];
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{access::request::Protocol, testing::room};

    #[test]
    fn a_key_depends_on_all_that_the_callback_is_given_of_a_client() {
        let (r, s) = (room("r"), room("s"));
        let http = |protocol, last, room, query, authorization, user_agent| {
            let peer = ([10, 0, 0, last], 1).into();
            let request = AccessRequest::http(protocol, peer, room, query, authorization, user_agent);
            question_key(Action::Play, &request)
        };
        let hls = Protocol::Hls;
        let keys = [
            http(hls, 1, &r, "a=1", Some("Bearer T"), Some("player")),
            http(Protocol::HttpFlv, 1, &r, "a=1", Some("Bearer T"), Some("player")),
            http(hls, 2, &r, "a=1", Some("Bearer T"), Some("player")),
            http(hls, 1, &s, "a=1", Some("Bearer T"), Some("player")),
            http(hls, 1, &r, "a=2", Some("Bearer T"), Some("player")),
            http(hls, 1, &r, "a=1", Some("Bearer U"), Some("player")),
            http(hls, 1, &r, "a=1", Some("Bearer T"), Some("another")),
            http(hls, 1, &r, "a=1", Some("Bearer T"), None),
        ];
        assert_eq!(HashSet::from(keys).len(), keys.len());
        assert_eq!(http(hls, 1, &r, "a=1&_HLS_msn=7", Some("Bearer T"), Some("player")), keys[0]);
    }
}
