//! The process of the newcomers. In the process that measures, they would delay the reads of the others.

use std::{env, error::Error, process::Stdio};

use tokio::process::Command;

use super::{kind::Storm, outcome::Outcome};
use crate::{args::Args, server::Server};

/// Added to the niceness of this process. The clients of a real storm use no CPU of the server's machine, so these get only what
/// the server, its HLS threads included, and the measuring viewers leave.
const NICENESS: &str = "10";

/// Runs it to its end, on the server of `args`. Some storms kill a node.
pub async fn run(args: &Args, doomed: Option<&Server>, storm: Storm) -> Result<Outcome, Box<dyn Error>> {
    let mut command = Command::new("nice");
    command.args(["-n", NICENESS]).arg(env::current_exe()?).args(["--storm-joiners", &storm.to_string()]);
    command.args(["--rtmp", &args.rtmp.to_string(), "--http", &args.http.to_string()]);
    command.args(["--run-id", &args.run_id.to_string(), "--kbps", &args.kbps.to_string()]);
    if let Some(hls) = args.hls {
        command.args(["--hls", &hls.to_string()]);
    }
    if let Some(authority) = &args.authority {
        command.arg("--tls-ca").arg(authority.certificate_of_authority());
    }
    if let Some(doomed) = doomed {
        let address = doomed.args(args.clone()).rtmp;
        command.args(["--doomed-rtmp", &address.to_string(), "--doomed-pid", &doomed.pid().to_string()]);
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output().await?;
    let text = String::from_utf8(output.stdout)?;
    Ok(Outcome::parse(&text).ok_or("the joiners have no outcome")?)
}
