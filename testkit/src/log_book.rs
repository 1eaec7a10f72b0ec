//! The lines that a process writes, and waiting for one that it has yet to write.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Map, Value};

use crate::wait::{PATIENCE, now};

/// One line, parsed.
#[derive(Debug, Clone)]
pub struct LogLine(pub Map<String, Value>);

impl LogLine {
    /// A value as text, without quotes; empty if the line has no such key.
    pub fn text(&self, key: &str) -> String {
        match self.0.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }

    /// A value that counts something.
    pub fn number(&self, key: &str) -> u64 {
        let value = self.0.get(key).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("{key} is no number in {:?}", self.0))
    }

    /// Returns how long after `earlier` it was written, by the clock of the process that writes. Both are of one process,
    /// at most a day apart.
    pub fn time_since(&self, earlier: &Self) -> Duration {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        Duration::from_millis((self.time_of_day_ms() + DAY_MS - earlier.time_of_day_ms()) % DAY_MS)
    }

    /// From a time such as 2026-01-31T23:59:59.123Z.
    fn time_of_day_ms(&self) -> u64 {
        let ts = self.text("ts");
        let time = ts.split_once('T').and_then(|(_, time)| time.strip_suffix('Z'));
        let mut numbers = time.unwrap_or_default().split([':', '.']).map(str::parse);
        let [Some(Ok(hours)), Some(Ok(minutes)), Some(Ok(seconds)), Some(Ok(ms)), None] =
            std::array::from_fn(|_| numbers.next())
        else {
            panic!("no time in {ts:?}");
        };
        let (hours, minutes, seconds, ms): (u64, u64, u64, u64) = (hours, minutes, seconds, ms);
        ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
    }

    /// Returns whether its message contains these words.
    pub fn mentions(&self, words: &str) -> bool {
        self.text("msg").contains(words)
    }

    /// Returns whether it is this message, about this room.
    pub fn says(&self, msg: &str, room: &str) -> bool {
        self.text("msg") == msg && self.text("room") == room
    }
}

#[derive(Debug, Default)]
struct Lines {
    read: Vec<String>,
    ended: bool,
    is_held: bool,
}

/// Collects lines as they come.
#[derive(Debug, Clone, Default)]
pub struct LogBook(Arc<(Mutex<Lines>, Condvar)>);

impl LogBook {
    /// Reads `stream` until it ends, on a thread of its own.
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let book = Self::default();
        let writer = book.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                writer.change(|lines| lines.read.push(line));
                writer.wait_until_released();
            }
            writer.change(|lines| lines.ended = true);
        });
        book
    }

    /// Stops reading, so that the pipe fills, until [`release`](Self::release).
    pub fn hold(&self) {
        self.change(|lines| lines.is_held = true);
    }

    /// Goes on reading.
    pub fn release(&self) {
        self.change(|lines| lines.is_held = false);
    }

    /// All lines so far, as they were written.
    pub fn lines(&self) -> Vec<String> {
        self.lock().read.clone()
    }

    /// All lines, once the stream has ended.
    pub fn lines_to_the_end(&self) -> Vec<String> {
        self.wait("the end of the log", |lines| lines.ended.then(|| lines.read.clone()))
    }

    /// Waits for the first line, as it was written, of which `is_it` is true; `None` if the stream ends without.
    pub fn find_text(&self, what: &str, is_it: impl Fn(&str) -> bool) -> Option<String> {
        self.wait(what, |lines| match lines.read.iter().find(|line| is_it(line)) {
            Some(line) => Some(Some(line.clone())),
            None => lines.ended.then_some(None),
        })
    }

    /// The first line, of those written already and those to come, of which `is_it` is true.
    pub fn find(&self, what: &str, is_it: impl Fn(&LogLine) -> bool) -> LogLine {
        self.find_nth(1, what, is_it)
    }

    /// Like [`find`](Self::find), for a line of which there is one. A line may come after the media that it is about.
    pub fn find_only(&self, what: &str, is_it: impl Fn(&LogLine) -> bool) -> LogLine {
        let line = self.find(what, &is_it);
        assert_eq!(self.count(is_it), 1, "{what}");
        line
    }

    /// Like [`find`](Self::find), for the `nth` such line, counted from 1.
    pub fn find_nth(&self, nth: usize, what: &str, is_it: impl Fn(&LogLine) -> bool) -> LogLine {
        self.wait(what, |lines| {
            let parsed = lines.read.iter().filter_map(|line| parse(line));
            parsed.filter(&is_it).nth(nth - 1)
        })
    }

    /// The number of lines so far of which `is_it` is true.
    pub fn count(&self, is_it: impl Fn(&LogLine) -> bool) -> usize {
        self.lines().iter().filter_map(|line| parse(line)).filter(is_it).count()
    }

    fn wait_until_released(&self) {
        let waited = self.0.1.wait_while(self.lock(), |lines| lines.is_held);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn wait<T>(&self, what: &str, find: impl Fn(&Lines) -> Option<T>) -> T {
        let deadline = now() + PATIENCE;
        let mut lines = self.lock();
        loop {
            if let Some(found) = find(&lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(now());
            assert!(!left.is_zero(), "the log has no line of {what:?}:\n{}", lines.read.join("\n"));
            let waited = self.0.1.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parses a line, if it is a JSON object.
pub fn parse(line: &str) -> Option<LogLine> {
    serde_json::from_str(line).ok().map(LogLine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ts: &str) -> LogLine {
        parse(&format!(r#"{{"ts":"{ts}","msg":"m","room":"r","count":3}}"#)).unwrap()
    }

    #[test]
    fn times_are_compared_across_midnight() {
        let (before, after) = (line("2026-01-31T23:59:59.123Z"), line("2026-02-01T00:00:01.003Z"));
        assert_eq!(after.time_since(&before), Duration::from_millis(1_880));
    }

    #[test]
    fn a_line_that_is_still_to_come_is_found_and_so_is_the_end() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let book = LogBook::of(reader);
        let found = thread::scope(|scope| {
            let waiting = scope.spawn(|| book.find("m", |line| line.says("m", "r")));
            std::io::Write::write_all(&mut writer, b"no JSON\n{\"msg\":\"m\",\"room\":\"r\",\"count\":3}\n")
                .unwrap();
            waiting.join().unwrap()
        });
        assert_eq!((found.number("count"), found.text("absent")), (3, String::new()));
        drop(writer);
        assert_eq!(book.find_text("nothing", |line| line == "absent"), None);
        assert_eq!(book.lines_to_the_end().len(), 2);
    }
}
