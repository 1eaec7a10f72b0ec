//! The cost of publishers without viewers: with and without HLS beside the floor, and over TLS against plain ones.

use std::{error::Error, path::Path};

use tokio::sync::watch;

use crate::{
    args::Args,
    compare::{flags, median_by},
    hls::pause,
    ingest_floor::{self, Reads},
    server::Server,
    stage::Stage,
    steps::{block_on, measure, start_publishers},
};

/// Prints a table: both floors, without HLS and with it, one after the other.
pub fn compare(server: &Path, args: &Args) -> Result<(), Box<dyn Error>> {
    let of_server = |hls| measure_server(server, &["--hls", hls], args);
    let of_floor = |reads| block_on(percent_each(args.clone(), Some(reads)));
    let run = || -> Result<_, Box<dyn Error>> {
        let floors = [of_floor(Reads::AsItComes)?, of_floor(Reads::Coalesced)?];
        Ok((floors, [of_server("off")?, of_server("always")?]))
    };
    let runs = (0..args.runs).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    let middle = median_by(runs, |([as_it_comes, _], [without_hls, _])| Some(without_hls / as_it_comes));
    let ([as_it_comes, coalesced], [without_hls, with_hls]) = middle.ok_or("no runs")?;
    println!("| publishers | | CPU % each | over reads as it comes | over reads each 75 ms |");
    println!("| --- | --- | --- | --- | --- |");
    let rows = [
        ("HLS off", without_hls),
        ("HLS on", with_hls),
        ("floor, reads as it comes", as_it_comes),
        ("floor, reads each 75 ms", coalesced),
    ];
    for (what, each) in rows {
        let (over_first, over_second) = (each / as_it_comes, each / coalesced);
        println!("| {} | {what} | {each:.4} | {over_first:.2} | {over_second:.2} |", args.publishers);
    }
    Ok(())
}

/// Prints a table: in plain and over TLS in turn.
pub fn compare_tls(server: &Path, args: &Args) -> Result<(), Box<dyn Error>> {
    let flags = flags("frame", args);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let measure = |rtmps| measure_server(server, &flags, &Args { rtmps, ..args.clone() });
    let pairs = (0..args.runs).map(|_| Ok((measure(false)?, measure(true)?)));
    let pairs = pairs.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let (plain, over_tls) = median_by(pairs, |(plain, over_tls)| Some(over_tls / plain)).ok_or("no runs")?;
    println!("| publishers | plain, CPU % each | over TLS, CPU % each | over plain |");
    println!("| --- | --- | --- | --- |");
    println!("| {} | {plain:.4} | {over_tls:.4} | {:.2} |", args.publishers, over_tls / plain);
    Ok(())
}

fn measure_server(server: &Path, flags: &[&str], args: &Args) -> Result<f64, Box<dyn Error>> {
    let server = Server::start(server, flags)?;
    block_on(percent_each(server.args(args.clone()), None))
}

/// Returns what a publisher takes of the server, or of a floor, in percent of a core. They begin spread over a GOP.
async fn percent_each(mut args: Args, floor: Option<Reads>) -> Result<f64, Box<dyn Error>> {
    let (stage, stages) = watch::channel(Stage::Joining);
    if let Some(reads) = floor {
        args.floor = true;
        args.rtmp = ingest_floor::start(reads, stages.clone())?;
    }
    let pause = pause(&Args { spread: true, ..args.clone() });
    start_publishers(&args, pause, &stages).await?;
    let usage = measure(&args, &stage).await?.ok_or("the CPU is not known")?;
    Ok(usage.cpu_percent / args.publishers.max(1) as f64)
}
