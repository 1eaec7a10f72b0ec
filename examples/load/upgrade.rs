//! Upgrades in place, one after the other, under load: every viewer compares every byte that it gets.
//!
//! Two nodes share a Redis. The first has all publishers, many viewers over HTTP-FLV of one room and one of each other room, RTMP
//! players and HLS followers; the second pulls the room for viewers of its own. The first is upgraded, then the second.

pub mod args;
mod check;
mod clip;
mod counters;
mod findings;
mod follower;
mod gaps;
mod load;
mod node;
mod promises;
mod publisher;
mod record;
mod viewer;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    path::Path,
    time::Duration,
};

use tokio::time::sleep;

use self::{
    args::UpgradeArgs,
    load::Load,
    node::Node,
    promises::{Promises, claims},
};
use crate::{args::Args, process::resident_bytes_of, steps::block_on};

/// Time before the first upgrade, over which gaps and memory are measured for comparison.
const BEFORE: Duration = Duration::from_secs(5);

/// Time from one upgrade to the next one.
const PAUSE: Duration = Duration::from_secs(2);

/// Time from the last upgrade until the memory is measured: longer than a segment.
const AFTER: Duration = Duration::from_secs(4);

/// Runs the load and prints the findings.
pub fn run(binary: &Path, args: &Args) -> Result<(), Box<dyn Error>> {
    block_on(async {
        let mut load = Load::start(binary, args).await?;
        load.join(args).await?;
        let mut promises = Promises::default();
        let before = claims(&load.redis);
        upgrade(&mut load, &args.upgrades, &mut promises).await?;
        // With the publishers, their claims end.
        let changed = changed(&before, &claims(&load.redis));
        load.end(&args.upgrades, &mut promises).await;
        let claimed = format!("claims: {} in Redis, with the same owner, epoch and time", before.len());
        promises.note(&claimed, changed.is_empty() && !before.is_empty());
        changed.iter().for_each(|change| println!("{change}"));
        promises.result()
    })
}

/// Describes each claim that is not as it was.
fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let rooms: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed = rooms.into_iter().filter(|room| before.get(*room) != after.get(*room));
    let text = |claim: Option<&String>| claim.map_or("none", String::as_str).to_owned();
    changed.map(|room| format!("{room}: {} -> {}", text(before.get(room)), text(after.get(room)))).collect()
}

/// Upgrades both nodes, each for its number of times.
async fn upgrade(
    load: &mut Load,
    flags: &UpgradeArgs,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    load.watch.clock.next_period();
    sleep(BEFORE).await;
    let (before, before_bytes) = (load.origin.counters().await?, resident_bytes(&load.origin)?);
    let mut stood_still_ms = Vec::new();
    for _ in 0..flags.upgrades {
        load.watch.clock.next_period();
        stood_still_ms.push(load.origin.upgrade().await?);
        load.upgrades_over.send_modify(|count| *count += 1);
        sleep(PAUSE).await;
    }
    sleep(AFTER).await;
    let (after, after_bytes) = (load.origin.counters().await?, resident_bytes(&load.origin)?);
    let gone_back = after.gone_back(&before);
    promises.note(&format!("counters: {}, of which {gone_back} went back", before.count()), gone_back == 0);
    println!("the first node stood still for {stood_still_ms:?} ms");
    stood_still_ms.clear();
    for _ in 0..flags.edge_upgrades {
        load.watch.clock.next_period();
        stood_still_ms.push(load.edge.upgrade().await?);
        sleep(PAUSE).await;
    }
    println!("the second node stood still for {stood_still_ms:?} ms");
    promises.note_memory(before_bytes, after_bytes);
    Ok(())
}

fn resident_bytes(node: &Node) -> Result<u64, Box<dyn Error>> {
    Ok(resident_bytes_of(node.pid()).ok_or("the server's memory is not known")?)
}
