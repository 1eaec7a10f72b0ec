//! Questions to the HTTP callback, and its answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use synctv_media::access::Refusal;

use super::orders::NAME_MAX_BYTES;
use crate::metrics::CallbackOutcome;

/// Time that a permission is cached if the callback names none.
const YES_FRESH: Duration = Duration::from_secs(5);

/// Maximum time that a permission is cached, and for which one stands in while the callback does not answer.
pub(super) const YES_MAX: Duration = Duration::from_secs(300);

/// A question. It holds credentials, so it has no `Debug`.
#[derive(Clone, Serialize)]
pub(super) struct Question {
    pub id: String,
    pub action: &'static str,
    pub room: String,
    pub protocol: &'static str,
    pub peer: String,
    pub node: String,
    pub query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// A permission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Approval {
    /// Time at which open connections are cut, in seconds since 1970.
    pub until_unix_s: Option<u64>,
    /// The user, as the callback names it.
    pub subject: Option<String>,
    /// Limit of connections on this node: of the same user, or else with the same question.
    pub connections_max: Option<u32>,
    pub fresh_for: Duration,
}

/// The end of a request to the callback.
pub(super) type Answer = Result<Result<Approval, Refusal>, Unanswered>;

/// The reason that the callback decided nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Its time was over.
    Late,
    /// It could not be reached, or its answer is none.
    Failed,
}

#[derive(Deserialize)]
struct ApprovalBody {
    until: Option<u64>,
    cache_s: Option<u64>,
    max: Option<u32>,
    sub: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct DenialBody {
    message: String,
}

/// Reads an answer of the callback.
pub(super) fn read_answer(status: u16, body: &[u8]) -> Answer {
    match status {
        200..=299 => approval(body).map(Ok),
        401 | 403 => Ok(Err(match serde_json::from_slice::<DenialBody>(body) {
            Ok(denial) => Refusal::denied(&denial.message),
            Err(_) => Refusal::NotAllowed,
        })),
        _ => Err(Unanswered::Failed),
    }
}

/// Returns the outcome under which a request is counted.
pub(super) fn outcome(answer: &Answer) -> CallbackOutcome {
    match answer {
        Ok(Ok(_)) => CallbackOutcome::Ok,
        Ok(Err(_)) => CallbackOutcome::Denied,
        Err(Unanswered::Failed) => CallbackOutcome::Error,
        Err(Unanswered::Late) => CallbackOutcome::Timeout,
    }
}

/// Services permit with any body: one that cannot be read limits nothing. A user without a name of use is a mistake: without it,
/// the limit would be another one.
fn approval(body: &[u8]) -> Result<Approval, Unanswered> {
    let body = serde_json::from_slice::<ApprovalBody>(body).ok();
    let asked = body.as_ref().and_then(|body| body.cache_s).map(Duration::from_secs);
    let fresh_for = asked.unwrap_or(YES_FRESH).min(YES_MAX);
    let Some(body) = body else { return Ok(Approval { fresh_for, ..Approval::default() }) };
    let subject = body.sub.as_ref().map(subject).transpose()?;
    Ok(Approval { until_unix_s: body.until, subject, connections_max: body.max, fresh_for })
}

/// The name of a user, which may be a number.
fn subject(sub: &serde_json::Value) -> Result<String, Unanswered> {
    let text = match sub {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => return Err(Unanswered::Failed),
    };
    if (1..=NAME_MAX_BYTES).contains(&text.len()) { Ok(text) } else { Err(Unanswered::Failed) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_read_by_its_status() {
        let yes = |body: &str| read_answer(200, body.as_bytes()).unwrap().unwrap();
        assert_eq!(yes(""), Approval { fresh_for: YES_FRESH, ..Approval::default() });
        assert_eq!(yes("OK"), yes(""));
        let limited = yes(r#"{"until": 100, "cache_s": 9000, "max": 2, "sub": "user", "more": []}"#);
        let expected = Approval {
            until_unix_s: Some(100),
            subject: Some("user".to_owned()),
            connections_max: Some(2),
            fresh_for: YES_MAX,
        };
        assert_eq!(limited, expected);
        assert_eq!(yes(r#"{"sub": 42}"#).subject.as_deref(), Some("42"));
        for sub in [json!("x".repeat(NAME_MAX_BYTES + 1)), json!(""), json!(["a"])] {
            let body = json!({ "sub": sub, "max": 1 }).to_string();
            assert_eq!(read_answer(200, body.as_bytes()), Err(Unanswered::Failed), "{body}");
        }
        assert_eq!(read_answer(401, b"go away"), Ok(Err(Refusal::NotAllowed)));
        assert_eq!(read_answer(403, br#"{"message":"no"}"#), Ok(Err(Refusal::Denied("no".to_owned()))));
        for status in [302, 404, 429, 500, 503] {
            assert_eq!(read_answer(status, b"{}"), Err(Unanswered::Failed), "{status}");
        }
    }
}
