//! The cost of publishers over TLS, against plain ones.

use std::{error::Error, path::Path};

use crate::{
    args::Args,
    compare::{flags, median_by},
    report::Report,
    server::Server,
};

/// Prints a table: publishers without viewers, in plain and over TLS in turn. `load` runs one measurement.
pub fn run(
    server: &Path,
    args: &Args,
    load: impl Fn(Args) -> Result<Report, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let flags = flags("frame", args);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let measure = |rtmps| -> Result<f64, Box<dyn Error>> {
        let server = Server::start(server, &flags)?;
        let measured = load(server.args(Args { rtmps, viewers: 0, ..args.clone() }))?;
        Ok(measured.cpu_percent_each().ok_or("the server's CPU is not known")?)
    };
    let pairs = (0..args.runs).map(|_| Ok((measure(false)?, measure(true)?)));
    let pairs = pairs.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let (plain, over_tls) = median_by(pairs, |(plain, over_tls)| Some(over_tls / plain)).ok_or("no runs")?;
    println!("| publishers | plain, CPU % each | over TLS, CPU % each | over plain |");
    println!("| --- | --- | --- | --- |");
    println!("| {} | {plain:.4} | {over_tls:.4} | {:.2} |", args.publishers, over_tls / plain);
    Ok(())
}
