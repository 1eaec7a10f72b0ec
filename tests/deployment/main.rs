//! What an operator applies fits the server, and itself.

mod image;
mod manifests;
mod support;
