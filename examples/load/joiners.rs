//! Viewers who all join at once, and the delay that this causes to earlier viewers.

use std::{
    env,
    error::Error,
    io,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{args::Args, compare::flags, report::Report, server::Server};

/// The time in which they join, in seconds.
const JOIN_S: &str = "1";

/// The process of the viewers who join. In the one that measures, their handshakes would delay the reads of the others.
pub struct Joiners(Child);

impl Joiners {
    /// Starts it, if `args` ask for it. The viewers' observations are printed when the load is over.
    pub fn start(args: &Args) -> io::Result<Option<Self>> {
        let Some(authority) = args.authority.as_ref().filter(|_| args.joiners > 0) else { return Ok(None) };
        // The server has to be faster than its load, which is given what is left of the machine.
        let mut command = Command::new("nice");
        command.args(["-n", "5"]).arg(env::current_exe()?);
        command.args(["--publishers", "0", "--join-s", JOIN_S, "--measure-s", "0.5"]);
        command.args(["--viewers", &args.joiners.to_string(), "--http", &args.http.to_string()]);
        command.arg("--tls-ca").arg(authority.certificate_of_authority());
        command.stdin(Stdio::null()).spawn().map(|process| Some(Self(process)))
    }
}

impl Drop for Joiners {
    fn drop(&mut self) {
        // It ends by itself a little later than the load.
        let _ = self.0.wait();
    }
}

/// Prints the delay of earlier viewers' frames, without and with joiners. `load` runs one measurement.
pub fn run(
    server: &Path,
    args: &Args,
    load: impl Fn(Args) -> Result<Report, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let flags = flags("frame", args);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    for _ in 0..args.runs {
        for joiners in [0, args.joiners] {
            let server = Server::start(server, &flags)?;
            let watched = load(server.args(Args { joiners, ..args.clone() }))?;
            println!("{} watch while {joiners} join within {JOIN_S} s: {}", args.viewers, watched.latency());
        }
    }
    Ok(())
}
