//! The doorbell: settings in, exit code out.

use std::process::ExitCode;

use synctv_stream::{config::Config, log, run};

fn main() -> ExitCode {
    let config = match Config::load() {
        Ok(config) => config,
        Err(stop) => return stop.report(),
    };
    log::init();
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("synctv-stream: {error}");
            ExitCode::FAILURE
        }
    }
}
