//! Parsers that several groups of settings share.

/// A name of letters, digits, `_`, `-` and `.`, at most 253 characters.
pub fn parse_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match text {
        "" => Err("it is empty".to_owned()),
        _ if text.len() > 253 => Err("it has more than 253 characters".to_owned()),
        _ if !text.chars().all(allowed) => Err("allowed are A-Z a-z 0-9 _ - .".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// A name that can be the first segment of a path beside the server's own.
pub fn parse_app(text: &str) -> Result<String, String> {
    match parse_name(text)?.as_str() {
        "." | ".." => Err("it means something else in an address".to_owned()),
        "api" | "assets" | "watch" => Err("the HTTP port has other paths under it".to_owned()),
        app => Ok(app.to_owned()),
    }
}

/// A count of 1 to ten million.
pub fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count @ 1..=10_000_000) => Ok(count),
        _ => Err("it is not a number of 1 to 10000000".to_owned()),
    }
}
