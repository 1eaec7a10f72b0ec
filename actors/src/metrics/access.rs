//! Decisions of the gatekeeper.

use prometheus_client::metrics::counter::Counter;
use synctv_media::access::{Action, Refusal};

use super::{
    age::Age,
    histogram::Histogram,
    label::{Label, label},
    labelled::Labelled,
    metric_set::MetricSet,
};

/// The bounds of a callback's answer, in seconds.
const CALLBACK_BOUNDS_S: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

const ACTIONS: [Action; 6] =
    [Action::Publish, Action::Play, Action::Segment, Action::Pull, Action::List, Action::Admin];

impl Label for Action {
    const COUNT: usize = ACTIONS.len();

    fn index(self) -> usize {
        match self {
            Self::Publish => 0,
            Self::Play => 1,
            Self::Segment => 2,
            Self::Pull => 3,
            Self::List => 4,
            Self::Admin => 5,
        }
    }

    fn pairs_at(index: usize) -> Vec<(&'static str, &'static str)> {
        ACTIONS.get(index).map(|action| ("action", action.as_str())).into_iter().collect()
    }
}

label!(
    /// The outcome of a decision.
    DecisionOutcome, "outcome" {
        /// Granted.
        Granted = "granted",
        /// Denied.
        Denied = "denied",
        /// The service that decides did not answer.
        Unavailable = "unavailable",
    }
);

label!(
    /// The outcome of a request to `AUTH_URL`.
    CallbackOutcome, "outcome" {
        /// The service granted.
        Ok = "ok",
        /// The service denied.
        Denied = "denied",
        /// The service did not answer as it should.
        Error = "error",
        /// The service did not answer in time.
        Timeout = "timeout",
    }
);

/// The metrics of a node's gatekeeper.
#[derive(Debug, Clone)]
pub struct AccessMetrics {
    /// Decisions, but for those on segments with a valid key.
    pub decisions: Labelled<(Action, DecisionOutcome), Counter>,
    /// Requests to `AUTH_URL`.
    pub callbacks: Labelled<CallbackOutcome, Counter>,
    /// The time that they took.
    pub callback: Histogram,
    /// The time since the keys of `TOKEN_JWKS_URL` were fetched.
    pub keys: Age,
}

impl Default for AccessMetrics {
    fn default() -> Self {
        Self {
            decisions: Labelled::default(),
            callbacks: Labelled::default(),
            callback: Histogram::new(CALLBACK_BOUNDS_S),
            keys: Age::start(),
        }
    }
}

impl DecisionOutcome {
    /// Returns the outcome of a decision that ended with this.
    pub(crate) fn of<T>(decided: &Result<T, Refusal>) -> Self {
        match decided {
            Ok(_) => Self::Granted,
            Err(Refusal::Unavailable) => Self::Unavailable,
            Err(_) => Self::Denied,
        }
    }
}

impl AccessMetrics {
    /// Counts a decision.
    pub(crate) fn note<T>(&self, action: Action, decided: &Result<T, Refusal>) {
        self.decisions.get((action, DecisionOutcome::of(decided))).inc();
    }

    /// Registers them under their names, those of `AUTH_URL` if it is set.
    pub fn register(&self, registry: &mut MetricSet, has_callback: bool) {
        registry.register("auth_decisions", "Decisions on access", self.decisions.clone());
        if !has_callback {
            return;
        }
        registry.register("auth_callbacks", "Requests to AUTH_URL", self.callbacks.clone());
        registry.register("auth_callback_seconds", "Answer times of AUTH_URL", self.callback.clone());
    }
}
