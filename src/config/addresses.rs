//! The addresses that the server listens on, and the app in them.

use std::net::SocketAddr;

use clap::Args;

use super::{parse::parse_app, public_url::PublicUrl};
use crate::http::TrustedProxies;

/// The addresses at which clients connect.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Addresses")]
pub struct AddressArgs {
    /// Address for publishers and RTMP players
    #[arg(long, env, default_value = "0.0.0.0:1935")]
    pub rtmp_addr: SocketAddr,

    /// Address for HTTP-FLV viewers, the page and the API
    #[arg(long, env, default_value = "0.0.0.0:8080")]
    pub httpflv_addr: SocketAddr,

    /// Address for HLS viewers
    #[arg(long, env, default_value = "0.0.0.0:8081")]
    pub hls_addr: SocketAddr,

    /// App in RTMP and HLS addresses: rtmp://HOST/APP/ROOM, http://HOST/APP/ROOM/index.m3u8
    #[arg(long, env, default_value = "live", value_parser = parse_app)]
    pub rtmp_app: String,

    /// Address at which clients reach RTMP, rtmp:// or rtmps://, without the app, if it differs from the one listened on
    /// [default: none]
    #[arg(long, env, value_parser = PublicUrl::rtmp)]
    pub public_rtmp_url: Option<PublicUrl>,

    /// Address at which clients reach HTTP-FLV, the page and the API, http:// or https://
    /// [default: none]
    #[arg(long, env, value_parser = PublicUrl::http)]
    pub public_http_url: Option<PublicUrl>,

    /// Address at which clients reach HLS, http:// or https://, without the app
    /// [default: none]
    #[arg(long, env, value_parser = PublicUrl::http)]
    pub public_hls_url: Option<PublicUrl>,

    /// Proxies whose X-Forwarded-For, -Proto, -Host and -Prefix count: addresses and networks such as 10.0.0.0/8, separated by
    /// commas; "off" for none
    #[arg(long, env, default_value = "off", value_parser = TrustedProxies::parse)]
    pub trust_proxy: TrustedProxies,
}
