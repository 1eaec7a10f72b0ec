//! Measures a server and the floor in turn, at one setting after the other, and prints a row for each.

use std::{error::Error, path::Path};

use crate::{args::Args, case::Case, report::Report, server::Server};

/// Prints the table. `load` runs one measurement.
pub fn run(
    server: &Path,
    args: &Args,
    load: impl Fn(Args) -> Result<Report, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    println!(
        "| flush | rooms | viewers | | delivered % | longest gap ms | first p99 ms | p50 ms | p99 ms | CPU % each | over floor | MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut one_room = Vec::new();
    for case in &args.cases {
        let measure = || -> Result<_, Box<dyn Error>> {
            let flags = flags(&case.flush, args);
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let measured = {
                let server = Server::start(server, &flags)?;
                load(server.args(load_of(case, args)))?
            };
            let plain = match &args.authority {
                Some(_) => {
                    let server = Server::start(server, &flags)?;
                    Some(load(server.args(Args { tls: false, authority: None, ..load_of(case, args) }))?)
                }
                None => None,
            };
            let floor = load(Args {
                floor: true,
                floor_interval_ms: case.floor_interval_ms(),
                ..load_of(case, args)
            })?;
            Ok((measured, floor, plain))
        };
        let runs = (0..args.runs).map(|_| measure()).collect::<Result<Vec<_>, _>>()?;
        let middle = median_by(runs, |(measured, floor, _)| measured.over(floor));
        let (measured, floor, plain) = middle.ok_or("nothing was measured")?;
        let what = format!("| {} | {} | {} |", case.flush, case.rooms, case.viewers);
        println!("{what} server {}", measured.row(Some(&floor)));
        println!("{what} floor {}", floor.row(None));
        if let Some(ratio) = plain.as_ref().and_then(|plain| measured.over(plain)) {
            println!("{what} TLS over plain | {ratio:.2} |");
        }
        if let Some(resident_bytes) = measured.resident_bytes().filter(|_| case.is_one_room()) {
            one_room.push((case.viewers, resident_bytes));
        }
    }
    if let Some(bytes) = bytes_per_further_viewer(&one_room) {
        println!("\nmemory per further viewer: {:.1} KB", bytes / 1e3);
    }
    Ok(())
}

/// The flags of a server without HLS.
pub fn flags(flush: &str, args: &Args) -> Vec<String> {
    let tls = args.authority.as_ref().map(|authority| authority.flags()).unwrap_or_default();
    let flags = ["--hls", "off", "--flush-interval", flush];
    flags.into_iter().map(ToOwned::to_owned).chain(tls).collect()
}

/// The one in the middle, by its `ratio`; one without any counts as the largest.
pub fn median_by<T>(mut runs: Vec<T>, ratio: impl Fn(&T) -> Option<f64>) -> Option<T> {
    runs.sort_by(|a, b| {
        let [a, b] = [a, b].map(|run| ratio(run).unwrap_or(f64::INFINITY));
        a.total_cmp(&b)
    });
    (!runs.is_empty()).then(|| runs.swap_remove(runs.len() / 2))
}

/// Between the fewest and the most viewers: what the process has without any is in both.
fn bytes_per_further_viewer(measured: &[(usize, u64)]) -> Option<f64> {
    let (fewest, least) = measured.iter().min()?;
    let (most, largest) = measured.iter().max()?;
    let further = most.checked_sub(*fewest).filter(|further| *further > 0)?;
    Some((*largest as f64 - *least as f64) / further as f64)
}

/// The load of a case.
fn load_of(case: &Case, args: &Args) -> Args {
    Args { viewers: case.viewers, publishers: case.rooms, kbps: case.kbps, ..args.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_in_the_middle_is_taken() {
        let middle = |runs: &[Option<f64>]| median_by(runs.to_vec(), |ratio| *ratio);
        assert_eq!(middle(&[Some(3.0), Some(1.0), None]), Some(Some(3.0)));
        assert_eq!(middle(&[Some(1.5)]), Some(Some(1.5)));
        assert_eq!(middle(&[]), None);
    }

    #[test]
    fn further_viewers_need_two_rows() {
        assert_eq!(bytes_per_further_viewer(&[(2000, 11_500), (300, 9_800), (1000, 9_900)]), Some(1.0));
        assert_eq!(bytes_per_further_viewer(&[(300, 9_800), (300, 9_900)]), None);
        assert_eq!(bytes_per_further_viewer(&[]), None);
    }
}
