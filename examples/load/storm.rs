//! Storms: many who come at once, and the delay that this causes to viewers who already watch.

mod joiners;
pub mod kind;
mod outcome;
mod publishers;
mod requests;
mod round;
mod scene;
mod viewers;

use std::{error::Error, path::Path};

use self::{
    kind::{Kind, Storm},
    outcome::Outcome,
    round::{Rounds, rounds},
    scene::Scene,
};
use crate::{args::Args, steps::block_on};

/// Prints a table with a row for each storm.
pub fn run(server: &Path, args: &Args) -> Result<(), Box<dyn Error>> {
    println!(
        "| storm | viewers | p50 / p99 ms before | during | after | first ms, p50 / p99 | refused | MB before | at most | after | 10 s after |"
    );
    println!("{}|", "| --- ".repeat(11));
    for storm in &args.storms {
        let scene = Scene::start(server, *storm, args)?;
        let rounds = block_on(rounds(&scene, *storm))?;
        let Rounds { before, during, after, nginx, .. } = &rounds;
        let outcome = during.outcome.as_ref().ok_or("the storm has no outcome")?;
        println!(
            "| {storm} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            args.viewers,
            before.latency(),
            during.latency(),
            after.latency(),
            outcome.first_ms(),
            outcome.refused,
            before.megabytes(),
            during.peak_megabytes(),
            after.megabytes(),
            rounds.rested_megabytes(),
        );
        if let Some((nginx, outcome)) =
            nginx.as_ref().and_then(|nginx| Some((nginx, nginx.outcome.as_ref()?)))
        {
            let (latency, first) = (nginx.latency(), outcome.first_ms());
            println!(
                "| {storm}, from nginx | {} |  | {latency} |  | {first} | {} | | | | |",
                args.viewers, outcome.refused
            );
        }
    }
    Ok(())
}

/// Is a storm, in a process of its own, and prints its outcome.
pub fn join(storm: Storm, args: &Args) -> Result<(), Box<dyn Error>> {
    let outcome = block_on(come(storm, args.clone()))?;
    outcome.print();
    Ok(())
}

async fn come(Storm { kind, count }: Storm, args: Args) -> Result<Outcome, Box<dyn Error>> {
    match kind {
        Kind::Flv | Kind::Tls => viewers::flv(args, count).await,
        Kind::Hls => viewers::hls(&args, count).await,
        Kind::Whep => Ok(viewers::whep(&args, count).await),
        Kind::Publishers => publishers::come_back(&args, count).await,
        Kind::Absent => requests::absent(&args, count).await,
        Kind::Lists => Ok(requests::lists(&args, count).await),
    }
}
