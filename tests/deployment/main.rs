//! What an operator applies fits the server, and itself.

#[path = "../server/support/mod.rs"]
#[allow(dead_code, reason = "shared with tests/server, which uses all of it")]
mod harness;

mod image;
mod manifests;
mod support;
