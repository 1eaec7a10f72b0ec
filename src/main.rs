//! The doorbell: settings in, exit code out.

use std::process::ExitCode;

use synctv_stream::{config::Config, log, run};

fn main() -> ExitCode {
    let config = match Config::load() {
        Ok(config) => config,
        Err(stop) => return stop.report(),
    };
    log::run_logged("synctv-stream", || run(config))
}
