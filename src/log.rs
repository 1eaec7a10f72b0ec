//! Logs: one JSON object a line on stderr.
//!
//! A thread of its own writes them. A reader that stops, such as a terminal after Ctrl-S or a container's log driver that
//! hangs, costs lines and never media.

mod queue;

use std::{
    any::Any,
    collections::BTreeMap,
    fmt::Display,
    io,
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use env_logger::{Env, Target, fmt::Formatter};
use log::{
    Level, Record,
    kv::{self, Key, Value, VisitSource},
};
use serde_json::Value as Json;
use synctv_actors::metrics::MetricSet;

use self::queue::Queue;
use crate::signals::block_signals;

/// The filter unless RUST_LOG is set. The libraries' own lines are of no use to an operator.
const DEFAULT_FILTER: &str = "info,actix_server=warn,rtmp=error,xflv=error,bytesio=error";

/// The longest time that the process waits at its end for its last lines to be read.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest time that a panicking thread waits for its line to be read, as the process may end with it.
const PANIC_TIMEOUT: Duration = Duration::from_millis(200);

/// Lines by level, in the order of [`LEVELS`], and panics, of this process.
static LINES: [AtomicU64; LEVELS.len()] = [const { AtomicU64::new(0) }; LEVELS.len()];
static PANICS: AtomicU64 = AtomicU64::new(0);

const LEVELS: [Level; 5] = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];

/// The queue of this process, once it logs.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// The log of this process. Dropping it waits for the last lines to be read, within a limit.
struct Log(Arc<Queue>);

/// Runs a program with logging, and returns its exit code. Its error is the last line, not in JSON but for people:
/// `NAME: ERROR`.
pub fn run_logged<E: Display>(name: &str, program: impl FnOnce() -> Result<(), E>) -> ExitCode {
    let log = match Log::start() {
        Ok(log) => log,
        Err(error) => {
            eprintln!("{name}: the log's thread: {error}");
            return ExitCode::FAILURE;
        }
    };
    match program() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.0.push(&format!("{name}: {error}"), true);
            ExitCode::FAILURE
        }
    }
}

impl Log {
    /// Starts logging, and logs panics as well.
    fn start() -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let writer = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            // It is started before any other thread, and one that blocks no signals would take them.
            let _ = block_signals();
            writer.serve(io::stderr(), report_dropped);
        })?;
        let lines = queue.clone();
        env_logger::Builder::from_env(Env::default().default_filter_or(DEFAULT_FILTER))
            // The format function hands lines to the queue, as only it knows their level: nothing is left to write.
            .target(Target::Pipe(Box::new(io::sink())))
            .format(move |out, record| {
                LINES[record.level() as usize - 1].fetch_add(1, Ordering::Relaxed);
                lines.push(&timed_line(out, record), record.level() == Level::Error);
                Ok(())
            })
            .init();
        // It is started once a process.
        let _ = QUEUE.set(queue.clone());
        let panics = queue.clone();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            let location = panic.location().map(ToString::to_string).unwrap_or_default();
            let message = panic_message(panic.payload());
            log::error!(location = location.as_str(), reason = message; "panic");
            panics.flush(PANIC_TIMEOUT);
        }));
        Ok(Self(queue))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush(LAST_LINES_TIMEOUT);
    }
}

/// Waits for the lines up to now to be written, within a limit.
pub(crate) fn flush(timeout: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(timeout);
    }
}

/// Returns how many lines of each level this process has logged.
pub(crate) fn lines() -> impl Iterator<Item = (Level, u64)> {
    LEVELS.into_iter().zip(&LINES).map(|(level, lines)| (level, lines.load(Ordering::Relaxed)))
}

/// Returns how often a thread of this process has panicked.
pub(crate) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Has the counts of lines and panics carried over an upgrade in place: the process is the same one.
pub(crate) fn carry_counts(metrics: &mut MetricSet) {
    for (level, lines) in LEVELS.into_iter().zip(&LINES) {
        metrics.carry("log_lines", &[("level", label(level))], lines);
    }
    metrics.carry("panics", &[], &PANICS);
}

/// Returns the name of a level, as metrics have it.
pub(crate) fn label(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

fn report_dropped(lines: u64) {
    log::warn!(lines = lines; "log lines dropped: stderr was not read");
}

/// Returns the message of a panic.
pub(crate) fn panic_message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn timed_line(out: &Formatter, record: &Record<'_>) -> String {
    line(&out.timestamp_millis().to_string(), record)
}

/// The line of a record: `ts`, `level`, `target` and `msg`, then its key-values by name.
fn line(ts: &str, record: &Record<'_>) -> String {
    let head = [
        ("ts", ts.to_owned()),
        ("level", record.level().as_str().to_lowercase()),
        ("target", record.target().to_owned()),
        ("msg", record.args().to_string()),
    ];
    let mut rest = Pairs::default();
    // A value that cannot be shown is left out; the line is worth more than it.
    let _ = record.key_values().visit(&mut rest);
    let head = head.map(|(key, value)| format!("{}:{}", Json::from(key), Json::from(value)));
    let rest = rest.0.into_iter().map(|(key, value)| format!("{}:{value}", Json::from(key)));
    format!("{{{}}}", head.into_iter().chain(rest).collect::<Vec<_>>().join(","))
}

#[derive(Default)]
struct Pairs(BTreeMap<String, Json>);

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0.insert(key.as_str().to_owned(), to_json(&value));
        Ok(())
    }
}

fn to_json(value: &Value<'_>) -> Json {
    if let Some(number) = value.to_u64() {
        return number.into();
    }
    if let Some(number) = value.to_i64() {
        return number.into();
    }
    if let Some(flag) = value.to_bool() {
        return flag.into();
    }
    match value.to_f64() {
        Some(number) if value.to_borrowed_str().is_none() => number.into(),
        _ => value.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_json_object_with_its_message_first_and_its_values_typed() {
        let pairs = [("room", Value::from("a\"b")), ("bytes", Value::from(7_u64)), ("ok", Value::from(true))];
        let pairs = pairs.as_slice();
        let args = format_args!("viewer\nleft");
        let record = Record::builder().args(args).target("t").key_values(&pairs).build();
        let line = line("2026-01-01T00:00:00.000Z", &record);
        assert_eq!(
            line,
            r#"{"ts":"2026-01-01T00:00:00.000Z","level":"info","target":"t","msg":"viewer\nleft","bytes":7,"ok":true,"room":"a\"b"}"#
        );
        assert!(serde_json::from_str::<Json>(&line).is_ok());
    }
}
