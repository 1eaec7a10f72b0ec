//! Credentials, as clients present them.

use std::fmt;

use super::SignedKey;

/// Text of a client that may hold credentials, such as the query of an address. `Debug` hides it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Confidential(String);

impl Confidential {
    /// Keeps a text.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Joins queries, leaving out empty ones.
    pub fn join<'t>(parts: impl IntoIterator<Item = &'t str>) -> Self {
        Self(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&"))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { "***" })
    }
}

/// A credential whose signature was not looked at yet. `Debug` hides it.
#[derive(Clone, Hash)]
pub enum Credential {
    /// A JSON Web Token, or whatever else was presented as one.
    Token(Box<str>),
    /// A signed key.
    Key(SignedKey),
}

impl Credential {
    /// Finds the first credential in a query. Neither tokens nor keys have characters that need escapes.
    pub fn in_query(query: &str) -> Option<Self> {
        match Self::pair_in(query)?.split_once('=')? {
            // A key that is none reads as a token, which it is not either: it is answered as one that is invalid.
            ("key", key) => Some(SignedKey::parse(key).map_or_else(|| Self::Token(key.into()), Self::Key)),
            (_, token) => Some(Self::Token(token.into())),
        }
    }

    /// The same with its name, as it stands in the query.
    fn pair_in(query: &str) -> Option<&str> {
        let is_credential =
            |pair: &&str| matches!(pair.split_once('='), Some(("token" | "key", text)) if !text.is_empty());
        query.split('&').find(is_credential)
    }

    /// Reads the value of an `Authorization` header. A signed key may be sent as a bearer token, too.
    pub fn in_authorization(value: &str) -> Option<Self> {
        let (scheme, text) = value.trim().split_once(' ')?;
        let text = text.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || text.is_empty() {
            return None;
        }
        Some(SignedKey::parse(text).map_or_else(|| Self::Token(text.into()), Self::Key))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(***)",
            Self::Key(_) => "Key(***)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(credential: Option<Credential>) -> String {
        match credential {
            Some(Credential::Token(token)) => format!("token {token}"),
            Some(Credential::Key(key)) => format!("key {key}"),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn the_first_credential_of_a_query_is_found() {
        let key = format!("0.{}", "x".repeat(22));
        let in_query = |query: &str| found(Credential::in_query(query));
        assert_eq!(in_query("a=1&token=T&token=U"), "token T");
        assert_eq!(in_query(&format!("key={key}&token=T")), format!("key {key}"));
        assert_eq!(in_query("token=&key=&token"), "none");
        assert_eq!(in_query("key=nonsense"), "token nonsense");
        assert_eq!(in_query("token=a=b"), "token a=b");
        assert_eq!(in_query(""), "none");
    }

    #[test]
    fn a_bearer_is_a_token_or_a_key() {
        let key = format!("0.{}", "x".repeat(22));
        let in_header = |value: &str| found(Credential::in_authorization(value));
        assert_eq!(in_header("Bearer T"), "token T");
        assert_eq!(in_header("bearer  T "), "token T");
        assert_eq!(in_header(&format!("Bearer {key}")), format!("key {key}"));
        assert_eq!(in_header("Basic T"), "none");
        assert_eq!(in_header("Bearer "), "none");
        assert_eq!(in_header("Bearer"), "none");
    }

    #[test]
    fn credentials_are_never_shown() {
        let shown = format!(
            "{:?} {:?} {:?}",
            Confidential::join(["token=abc", ""]),
            Credential::in_query("token=abc"),
            Confidential::default()
        );
        assert!(!shown.contains("abc"), "{shown}");
    }
}
