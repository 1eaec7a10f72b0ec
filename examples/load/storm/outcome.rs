//! The outcome of a storm for the newcomers.

use std::{collections::BTreeMap, time::Duration};

use crate::report::percentile_ms;

/// The times until they were served, and the refusals. A process prints it, and the one that has started it reads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub first_us: Vec<u32>,
    pub refused: usize,
    reasons: BTreeMap<String, usize>,
}

impl Outcome {
    /// Notes one who was served after so long.
    pub fn serve(&mut self, after: Duration) {
        self.first_us.push(after.as_micros() as u32);
    }

    /// The outcome of newcomers who were served after these times, without refusals so far.
    pub fn of(first_us: Vec<u32>) -> Self {
        Self { first_us, ..Self::default() }
    }

    /// Notes one who was not served.
    pub fn refuse(&mut self, reason: String) {
        self.refused += 1;
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// Takes the observations of another one as well.
    pub fn append(&mut self, other: Self) {
        self.first_us.extend(other.first_us);
        self.refused += other.refused;
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
    }

    /// Prints it on one line, and the reasons of refusals on others.
    pub fn print(&self) {
        for (reason, count) in &self.reasons {
            eprintln!("refused {count} times: {reason}");
        }
        let times = self.first_us.iter().map(|time| format!(" {time}"));
        println!("{}{}", self.refused, times.collect::<String>());
    }

    /// Reads what [`print`](Self::print) has printed.
    pub fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let refused = numbers.next()?.ok()? as usize;
        Some(Self { first_us: numbers.collect::<Result<_, _>>().ok()?, refused, ..Self::default() })
    }

    /// Returns the percentiles of the times.
    pub fn first_ms(&self) -> String {
        let mut first_us = self.first_us.clone();
        let [p50, p99] = [0.5, 0.99].map(|share| percentile_ms(&mut first_us, share));
        format!("{p50:.0} / {p99:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_as_it_was_printed() {
        let outcome = Outcome { first_us: vec![1_000, 250_000], refused: 3, ..Outcome::default() };
        assert_eq!(Outcome::parse("3 1000 250000\n"), Some(outcome));
        assert_eq!(Outcome::parse(""), None);
    }
}
