//! The entry point: reads the settings, runs the server or a command, and returns the exit code.

use std::process::ExitCode;

use synctv_stream::{config::Config, log, run};

fn main() -> ExitCode {
    let config = match Config::load() {
        Ok(config) => config,
        Err(stop) => return stop.report(),
    };
    match config.run_command() {
        None => {}
        Some(Ok(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Some(Err(reason)) => {
            eprintln!("synctv-stream: {reason}");
            return ExitCode::from(2);
        }
    }
    if config.check {
        return ExitCode::SUCCESS;
    }
    log::run_logged("synctv-stream", || run(config))
}
