//! The cost of many small rooms, beside one large room with as many viewers.

use std::{error::Error, net::SocketAddr, path::Path, time::Duration};

use synctv_testkit::redis::Redis;
use tokio::task::spawn_local;

use crate::{args::Args, hls::http::Client, report::Report, server::Server, steps::block_on};

/// Viewers of each small room.
const VIEWERS_EACH: usize = 2;

/// The interval of the API's clients, which is the page's, and of a metrics scrape.
const ASK_INTERVAL: Duration = Duration::from_secs(2);

/// Loads of the table: viewers of each small room, or else one large room.
const LOADS: [Option<usize>; 4] = [Some(0), Some(1), Some(VIEWERS_EACH), None];

/// Prints the table, and the cost of a room and of a viewer that follows from it. The node shares a Redis, and is asked for the
/// list of rooms and for its metrics meanwhile. `load` runs one measurement.
pub fn run(
    server: &Path,
    args: &Args,
    load: impl AsyncFn(Args) -> Result<Report, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    println!("| rooms | viewers of each | CPU % | delivered % | p50 / p99 ms | MB |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut percents = Vec::new();
    for each in LOADS {
        let rooms = if each.is_some() { args.publishers } else { 1 };
        let viewers = args.publishers * each.unwrap_or(VIEWERS_EACH);
        let redis = Redis::start(&[]);
        let flags = ["--hls", "off", "--redis-url", &redis.url(), "--metrics-addr", "127.0.0.1:0"];
        let server = Server::start(server, &flags)?;
        let args = server.args(Args { publishers: rooms, viewers, ..args.clone() });
        let metrics = server.metrics().ok_or("metrics are off")?;
        let report = block_on(async {
            spawn_local(ask(args.http, "/api/v1/streams"));
            spawn_local(ask(metrics, "/metrics"));
            load(args).await
        })?;
        println!("| {rooms} | {} | {} |", viewers / rooms, report.totals_row());
        percents.push(report.cpu_percent().ok_or("the server's CPU is not known")?);
    }
    print_shares(&percents, args.publishers as f64);
    Ok(())
}

fn print_shares(percents: &[f64], rooms: f64) {
    let [unwatched, one, two, large] = percents[..] else { return };
    let each = VIEWERS_EACH as f64;
    let (viewer, in_large) = ((two - one) / rooms, large / (rooms * each));
    println!("\na room without viewers {:.4} % of a core", unwatched / rooms);
    println!("a room with a viewer, without the viewer's part {:.4} %", (one / rooms - viewer));
    println!("a further viewer {viewer:.4} %, in one large room {in_large:.4} %: {:.2}", viewer / in_large);
    println!("a viewer with its share of the room {:.4} %", two / (rooms * each));
}

/// Asks for something at the interval, until the load is over.
async fn ask(server: SocketAddr, path: &str) {
    let mut client = Client::new(server);
    loop {
        tokio::time::sleep(ASK_INTERVAL).await;
        if let Err(error) = client.get(path, None, |_| {}).await {
            eprintln!("{path}: {error}");
        }
    }
}
