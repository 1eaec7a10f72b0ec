//! Access: who may publish, watch and administer, decided for every port.
//!
//! The [`Gatekeeper`] decides, with the rules of [`synctv_media::access`]. Its permission is a [`Grant`], without which no
//! stream can be opened or published.

mod about;
mod agent;
mod callback;
mod callback_message;
mod cluster_sync;
mod connection_counts;
mod events;
mod gatekeeper;
mod grant;
mod judge;
mod node_keys;
mod orders;
mod request;
mod service_url;
mod sessions;
mod settings;
mod token_maker;
mod tokens;
mod visible;

pub use self::{
    cluster_sync::{OrderError, Orders},
    gatekeeper::Gatekeeper,
    grant::{Grant, ToPlay, ToPublish, ToPull},
    judge::Administrator,
    node_keys::{NodeKeys, RandomError},
    request::{AccessRequest, Protocol},
    service_url::{ServiceUrl, ServiceUrlError},
    sessions::{Cut, Session},
    settings::AccessSettings,
    token_maker::{TokenRequest, make_token},
    visible::Visible,
};
