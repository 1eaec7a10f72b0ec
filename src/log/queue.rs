//! The lines that wait to be written, so that no thread waits for the reader of stderr but the one that writes.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// The most bytes that wait. A reader that stops for longer than it takes to fill this loses the newest lines.
const QUEUE_MAX_BYTES: usize = 1024 * 1024;

/// Further bytes for errors, panics among them: they are few, and an operator needs them most after a flood.
const RESERVE_BYTES: usize = 64 * 1024;

/// The pause before another try at a descriptor that another process made non-blocking.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Lines that wait to be written, bounded in bytes. Those that do not fit are dropped and counted.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    is_writing: bool,
}

/// Consecutive lines.
#[derive(Debug, Default)]
struct Batch {
    text: Vec<u8>,
    lines: u64,
    /// Lines that were dropped behind these.
    dropped: u64,
}

impl Queue {
    /// Adds a line. Never blocks. `is_error`: it may use the reserve.
    pub fn push(&self, line: &str, is_error: bool) {
        let max_bytes = if is_error { QUEUE_MAX_BYTES + RESERVE_BYTES } else { QUEUE_MAX_BYTES };
        let mut state = self.state();
        let waiting = &mut state.waiting;
        if waiting.text.len() + line.len() + 1 > max_bytes {
            waiting.dropped += 1;
            return;
        }
        waiting.text.extend_from_slice(line.as_bytes());
        waiting.text.push(b'\n');
        waiting.lines += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until everything is written, for `timeout` at most. Returns whether it is.
    pub fn flush(&self, timeout: Duration) -> bool {
        let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        let waited = self.changed.wait_timeout_while(self.state(), timeout, is_busy);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.is_writing && state.waiting.is_empty()
    }

    /// Writes what comes, for ever. `report` is called with the number of dropped lines, and may push: its line follows
    /// those that came before the gap.
    pub fn serve(&self, mut out: impl Write, report: impl Fn(u64)) -> ! {
        loop {
            self.write_next(&mut out, &report);
        }
    }

    fn write_next(&self, out: &mut impl Write, report: impl Fn(u64)) {
        let batch = self.take();
        if batch.dropped > 0 {
            report(batch.dropped);
        }
        let written = write_all(out, &batch.text);
        let mut state = self.state();
        state.is_writing = false;
        if written.is_err() {
            state.waiting.dropped += batch.lines;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for lines and takes them all.
    fn take(&self) -> Batch {
        let waited = self.changed.wait_while(self.state(), |state| state.waiting.text.is_empty());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        mem::take(&mut state.waiting)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

fn write_all(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_before_retry(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "the log's own thread, which has nothing else to do")]
fn wait_before_retry() {
    thread::sleep(RETRY_INTERVAL);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Takes so many bytes with each write, and fails as set.
    struct Out {
        text: Vec<u8>,
        at_once: usize,
        failures: Vec<ErrorKind>,
    }

    impl Out {
        fn failing(failures: &[ErrorKind]) -> Self {
            Self { text: Vec::new(), at_once: usize::MAX, failures: failures.to_vec() }
        }

        fn lines(&self) -> Vec<&str> {
            std::str::from_utf8(&self.text).unwrap().lines().collect()
        }
    }

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(kind) = self.failures.pop() {
                return Err(kind.into());
            }
            let taken = bytes.len().min(self.at_once);
            self.text.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn no_report(lines: u64) {
        panic!("{lines} lines were dropped");
    }

    #[test]
    fn lines_are_written_in_order_whatever_the_pipe_takes_at_once() {
        let queue = Queue::default();
        ["one", "two", "three"].iter().for_each(|line| queue.push(line, false));
        let mut out = Out::failing(&[ErrorKind::WouldBlock, ErrorKind::Interrupted]);
        out.at_once = 2;
        queue.write_next(&mut out, no_report);
        assert_eq!(out.lines(), ["one", "two", "three"]);
        assert!(queue.flush(Duration::ZERO));
    }

    #[test]
    fn what_does_not_fit_is_dropped_counted_and_reported_where_it_is_missing() {
        let queue = Queue::default();
        let line = "x".repeat(1023);
        (0..1024 + 7).for_each(|_| queue.push(&line, false));
        assert_eq!(queue.state().waiting.text.len(), QUEUE_MAX_BYTES);
        let mut out = Out::failing(&[]);
        queue.write_next(&mut out, |lines| queue.push(&format!("{lines} dropped"), false));
        assert_eq!(out.lines().len(), 1024);
        queue.push("after", false);
        queue.write_next(&mut out, no_report);
        assert_eq!(out.lines()[1024..], ["7 dropped", "after"]);
    }

    #[test]
    fn an_error_still_fits_after_a_flood() {
        let queue = Queue::default();
        (0..1024 + 1).for_each(|_| queue.push(&"x".repeat(1023), false));
        queue.push("panic", true);
        (0..65).for_each(|_| queue.push(&"y".repeat(1023), true));
        let reported = RefCell::new(Vec::new());
        let mut out = Out::failing(&[]);
        queue.write_next(&mut out, |lines| reported.borrow_mut().push(lines));
        assert_eq!(out.lines()[1024], "panic");
        assert_eq!(*reported.borrow(), [1 + 2]);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_as_dropped() {
        let queue = Queue::default();
        queue.push("lost", false);
        let mut out = Out::failing(&[ErrorKind::BrokenPipe]);
        queue.write_next(&mut out, no_report);
        queue.push("next", false);
        let reported = RefCell::new(Vec::new());
        queue.write_next(&mut out, |lines| reported.borrow_mut().push(lines));
        assert_eq!((out.lines(), reported.into_inner()), (vec!["next"], vec![1]));
    }

    #[test]
    fn flushing_ends_when_everything_is_written_or_the_time_is_over() {
        let queue = Queue::default();
        queue.push("waits", false);
        assert!(!queue.flush(Duration::ZERO));
        thread::scope(|scope| {
            scope.spawn(|| queue.write_next(&mut Out::failing(&[]), no_report));
            assert!(queue.flush(Duration::from_secs(20)));
        });
    }
}
