//! The server, and someone who pushes a clip to the room `demo` over and over: everything to see without an encoder.
//!
//! Takes the server's settings; segments go to a temporary directory. With `--tls`, it makes a certificate and prints how to
//! push and watch with it.

mod clip;
mod publisher;
mod tls;

use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    thread,
};

use publisher::Attempt;
use synctv_stream::{
    RunError,
    config::{Config, RedisSetting},
    listeners::Listeners,
    log, run_on,
};
use synctv_testkit::tls::TestAuthority;

const ROOM: &str = "demo";

fn main() -> ExitCode {
    let (arguments, authority) = tls::with_certificate(std::env::args_os());
    let config = match Config::load_from(arguments) {
        Ok(config) => config,
        Err(stop) => return stop.report(),
    };
    log::run_logged("demo", || demo(config, authority.as_ref()))
}

fn demo(mut config: Config, authority: Option<&TestAuthority>) -> Result<(), Box<dyn Error>> {
    let storage = tempfile::tempdir()?;
    config.cluster.redis_url.get_or_insert(RedisSetting::Off);
    config.hls.hls_storage = storage.path().join("hls");
    let listeners = Listeners::bind(&config).map_err(explain)?;
    let (rtmp, app) = (reachable(listeners.rtmp.local_addr()?), config.addresses.rtmp_app.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // It ends with the process.
    thread::spawn(move || {
        runtime.block_on(publisher::run(&[rtmp], &app, ROOM, |_, attempt| report(attempt)))
    });
    let page = listeners.httpflv_address();
    if let (Some(authority), Some(port)) = (authority, listeners.ports().tls) {
        println!("{}", tls::commands(authority, port, &config.addresses.rtmp_app, ROOM));
    }
    println!("Open http://{page}/ or http://{page}/watch/{ROOM}; Ctrl-C ends it.\n");
    Ok(run_on(config, listeners)?)
}

/// Prints what went wrong. A server that closes the connection is stopping, or has the reason in its log.
fn report(attempt: Attempt) {
    let Attempt::Failed(error) = attempt else { return };
    if error.kind() != io::ErrorKind::UnexpectedEof {
        eprintln!("demo: the publisher: {error}");
    }
}

/// Most who see a demo fail have the server running already.
fn explain(error: RunError) -> String {
    match &error {
        RunError::Listen { setting, .. } => format!("{error}; choose another with {setting}=0.0.0.0:PORT"),
        _ => error.to_string(),
    }
}

/// The address at which this machine reaches a listener.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
