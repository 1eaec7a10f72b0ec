//! Reasons for which access is refused.

use thiserror::Error;

/// The longest message of a callback that is shown, in characters.
const MESSAGE_MAX_CHARS: usize = 200;

/// A refusal. Its text is shown to the client: it names no secret and nothing that the client did not say itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The action is closed, and no credential was presented.
    #[error("a token is needed")]
    TokenMissing,
    /// The credential cannot be read or its signature is wrong.
    #[error("the token is invalid")]
    TokenInvalid,
    /// The signature is wrong because the end is missing: encoders cut long stream names without a word.
    #[error("the token was cut by the encoder: use key= or a shorter token")]
    TokenCut,
    /// The credential was valid until some time ago.
    #[error("the token has expired")]
    TokenExpired,
    /// The credential is for another room.
    #[error("the token is for another room")]
    WrongRoom,
    /// The credential is for another action.
    #[error("the token does not allow this")]
    NotAllowed,
    /// The HTTP callback refused, in these words.
    #[error("{0}")]
    Denied(String),
    /// The token was revoked.
    #[error("the token has been revoked")]
    Revoked,
    /// Publishing the room is blocked for a while.
    #[error("the room is blocked")]
    Blocked,
    /// The token's limit of connections is reached.
    #[error("token's connection limit reached ({0})")]
    TooManyConnections(u32),
    /// The HTTP callback or the identity provider does not answer.
    #[error("access cannot be decided now, retry")]
    Unavailable,
    /// A request names itself a node's, without the signature of one.
    #[error("the request is not signed by a node of this cluster")]
    NotANode,
}

impl Refusal {
    /// A refusal in a callback's own words, cut and without control characters; they go into logs and RTMP statuses.
    pub fn denied(message: &str) -> Self {
        let message: String =
            message.chars().filter(|char| !char.is_control()).take(MESSAGE_MAX_CHARS).collect();
        match message.trim() {
            "" => Self::NotAllowed,
            message => Self::Denied(message.to_owned()),
        }
    }

    /// The word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenInvalid | Self::TokenCut => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::WrongRoom => "wrong_room",
            Self::NotAllowed | Self::Denied(_) => "not_allowed",
            Self::Revoked => "revoked",
            Self::Blocked => "blocked",
            Self::TooManyConnections(_) => "too_many_connections",
            Self::Unavailable => "auth_unavailable",
            Self::NotANode => "not_a_node",
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::TokenMissing | Self::TokenInvalid | Self::TokenCut | Self::TokenExpired => 401,
            Self::WrongRoom
            | Self::NotAllowed
            | Self::Denied(_)
            | Self::Revoked
            | Self::Blocked
            | Self::NotANode => 403,
            Self::TooManyConnections(_) => 429,
            Self::Unavailable => 503,
        }
    }

    /// Time until the next attempt, in seconds, if waiting may help.
    pub fn retry_after_s(&self) -> Option<u32> {
        matches!(self, Self::TooManyConnections(_) | Self::Unavailable).then_some(5)
    }

    /// Returns whether the client is to blame, and not the state of the server.
    pub fn is_clients_fault(&self) -> bool {
        !matches!(self, Self::Unavailable | Self::TooManyConnections(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callbacks_words_are_cut_and_printable() {
        assert_eq!(Refusal::denied("no\r\n way "), Refusal::Denied("no way".to_owned()));
        assert_eq!(Refusal::denied("\n"), Refusal::NotAllowed);
        assert_eq!(Refusal::denied(&"x".repeat(1000)), Refusal::Denied("x".repeat(MESSAGE_MAX_CHARS)));
    }
}
