//! Publishers whose node dies, and who come back on another one.

use std::{error::Error, process::Command, time::Duration};

use tokio::{
    sync::watch,
    task::spawn_local,
    time::{Instant, sleep, sleep_until},
};

use super::outcome::Outcome;
use crate::{args::Args, publisher, stage::Stage, steps::source};

/// The time in which they are back for the first time.
const RECONNECT: Duration = Duration::from_secs(2);

/// The pause of an encoder that was refused: the room is its dead node's until the lease has lapsed.
const RETRY: Duration = Duration::from_secs(1);

/// Time after which one gives up: three leases.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time that they publish before.
const SETTLE: Duration = Duration::from_secs(2);

/// So many publishers on the doomed node, which is killed. The time of each is from then until it publishes again.
pub async fn come_back(args: &Args, count: usize) -> Result<Outcome, Box<dyn Error>> {
    let (_publishing, stages) = watch::channel(Stage::Joining);
    let doomed = args.doomed_rtmp.ok_or("no node to be killed")?;
    for number in 0..count {
        publisher::start(doomed, None, room(number), source(args), stages.clone()).await??;
    }
    sleep(SETTLE).await;
    let pid = args.doomed_pid.ok_or("no node to be killed")?.to_string();
    Command::new("kill").args(["-9", &pid]).status()?;
    let (died, mut returns) = (Instant::now(), Vec::new());
    for number in 0..count {
        sleep_until(died + RECONNECT * number as u32 / count.max(1) as u32).await;
        returns.push(spawn_local(come_back_one(args.clone(), number, died, stages.clone())));
    }
    let mut outcome = Outcome::default();
    for one in returns {
        match one.await? {
            Ok(after) => outcome.serve(after),
            Err(reason) => outcome.refuse(reason),
        }
    }
    Ok(outcome)
}

/// Tries until the room is free again.
async fn come_back_one(
    args: Args,
    number: usize,
    died: Instant,
    stages: watch::Receiver<Stage>,
) -> Result<Duration, String> {
    loop {
        let ready = publisher::start(args.rtmp, None, room(number), source(&args), stages.clone());
        match ready.await.map_err(|error| error.to_string())? {
            Ok(()) => return Ok(died.elapsed()),
            Err(error) if died.elapsed() > PATIENCE => return Err(error.to_string()),
            Err(_) => sleep(RETRY).await,
        }
    }
}

fn room(number: usize) -> String {
    format!("doomed_{number}")
}
