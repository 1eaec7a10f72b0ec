//! Requests that come at once.

use std::{error::Error, net::SocketAddr, time::Duration};

use tokio::{
    task::{JoinHandle, spawn_local},
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::outcome::Outcome;
use crate::{
    args::Args,
    hls::http::{Answer, Client, HttpError},
};

/// Connections that ask for rooms that do not exist.
const CONNECTIONS: usize = 100;

/// Time that they ask.
const LASTING: Duration = Duration::from_secs(3);

/// The interval at which the page asks for the list of rooms (`INTERVAL_MS` of `assets/index.js`).
const LIST_INTERVAL: Duration = Duration::from_secs(2);

/// Requests of a page for the list.
const LISTS: u32 = 3;

/// Requests for playlists of rooms that do not exist, each of another room, `rate` a second. The answer is 404.
pub async fn absent(args: &Args, rate: usize) -> Result<Outcome, Box<dyn Error>> {
    let server = args.hls.ok_or("the server has no port for HLS")?;
    let interval = Duration::from_secs_f64(CONNECTIONS as f64 / rate.max(1) as f64);
    let count = (LASTING.as_secs_f64() / interval.as_secs_f64()) as u32;
    let ask = |connection: usize| {
        let first = Instant::now() + interval * connection as u32 / CONNECTIONS as u32;
        let path = move |number| format!("/live/absent_{connection}_{number}/index.m3u8");
        let is_answer = |answer: &Result<Answer, HttpError>| matches!(answer, Err(HttpError::Status(404)));
        spawn_local(ask_each(server, first, interval, count, path, is_answer))
    };
    Ok(all((0..CONNECTIONS).map(ask).collect()).await)
}

/// Pages that are opened within two seconds, and then ask for the list.
pub async fn lists(args: &Args, pages: usize) -> Outcome {
    let http = args.http;
    let open = |page: usize| {
        let first = Instant::now() + LIST_INTERVAL * page as u32 / pages as u32;
        let path = |number| (if number == 0 { "/" } else { "/api/v1/streams" }).to_owned();
        spawn_local(ask_each(http, first, LIST_INTERVAL, 1 + LISTS, path, Result::is_ok))
    };
    all((0..pages).map(open).collect()).await
}

/// Asks at an interval on one connection. The time of an answer counts from when its request was due.
async fn ask_each(
    server: SocketAddr,
    first: Instant,
    interval: Duration,
    count: u32,
    path: impl Fn(u32) -> String + 'static,
    is_answer: impl Fn(&Result<Answer, HttpError>) -> bool + 'static,
) -> Outcome {
    let (mut client, mut outcome) = (Client::new(server), Outcome::default());
    let mut due = interval_at(first, interval);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0..count {
        let asked = due.tick().await;
        let answer = client.get(&path(number), None, |_| {}).await;
        match answer {
            answer if is_answer(&answer) => outcome.serve(asked.elapsed()),
            Err(error) => outcome.refuse(error.to_string()),
            Ok(_) => outcome.refuse("an answer that is not expected".to_owned()),
        }
    }
    outcome
}

async fn all(tasks: Vec<JoinHandle<Outcome>>) -> Outcome {
    let mut outcome = Outcome::default();
    for task in tasks {
        match task.await {
            Ok(one) => outcome.append(one),
            Err(error) => outcome.refuse(error.to_string()),
        }
    }
    outcome
}
