//! What became of the inputs, for people: by reader how many were tried, refused and read, the slowest, and each failure.
//!
//! In: verdicts. Out: a text; the inputs that failed, as files.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::LAST_PANIC;
use crate::case::{Damaged, Verdict};
use crate::reader::Reader;

/// An input that failed.
pub struct Failure {
    /// `reader:number`
    name: String,
    reason: String,
    /// Where the input is now.
    file: PathBuf,
}

impl Failure {
    /// Leaves the input in a folder named after it.
    pub fn leave(name: &str, reason: &str, damaged: &Damaged, folder: &Path) -> Self {
        let mut reason = reason.to_owned();
        if reason.starts_with("panic") {
            reason += " // ";
            reason += &LAST_PANIC.lock().expect("no panic here").replace('\n', " ");
        }
        let file = folder.join(name.replace(':', "-")).join(&damaged.name);
        let parent = file.parent().expect("a folder");
        std::fs::create_dir_all(parent).expect("room for a folder");
        std::fs::write(&file, &damaged.bytes).expect("room for a small file");
        Self {
            name: name.to_owned(),
            reason,
            file,
        }
    }

    /// What failures of one cause have in common: the reader, and the place of a panic or what is wrong with a message.
    fn kind(&self) -> String {
        let reader = self.name.split(':').next().unwrap_or_default();
        let cause = match self.reason.rsplit_once(" // ") {
            Some((_, place)) => place,
            None => self.reason.split(": ").next().unwrap_or_default(),
        };
        format!("{reader} {}", cause.chars().take(80).collect::<String>())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason: String = self.reason.chars().take(600).collect();
        writeln!(f, "FAILED {}: {reason}", self.name)?;
        writeln!(f, "  the input: {}", self.file.display())?;
        let run = "cargo test --release --test fuzz -- --nocapture";
        write!(f, "  again: CIPHERPET_FUZZ_CASE={} {run}", self.name)
    }
}

#[derive(Default)]
struct Line {
    reader: &'static str,
    tried: u64,
    refused: u64,
    accepted: u64,
    failed: u64,
    time: Duration,
    slowest: (Duration, String),
}

pub struct Tally {
    lines: Vec<Line>,
    /// The first failure of each kind, and how many there are.
    failures: BTreeMap<String, (Failure, u64)>,
}

impl Tally {
    pub fn new(readers: &[Reader]) -> Self {
        let line = |reader: &Reader| Line {
            reader: reader.name,
            ..Line::default()
        };
        Self {
            lines: readers.iter().map(line).collect(),
            failures: BTreeMap::new(),
        }
    }

    /// Counts an input of a reader.
    pub fn add(
        &mut self,
        reader: usize,
        verdict: &Verdict,
        (name, took): (&str, Duration),
        failure: Option<Failure>,
    ) {
        let line = &mut self.lines[reader];
        line.tried += 1;
        match verdict {
            Verdict::Accepted => line.accepted += 1,
            Verdict::Refused(_) => line.refused += 1,
            Verdict::Failed(_) => line.failed += 1,
        }
        line.time += took;
        if took > line.slowest.0 {
            line.slowest = (took, name.to_owned());
        }
        if let Some(failure) = failure {
            let known = self.failures.entry(failure.kind());
            known.or_insert((failure, 0)).1 += 1;
        }
    }

    pub fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:18} {:>9} {:>9} {:>9} {:>7} {:>8}  slowest",
            "reader", "tried", "refused", "read", "failed", "ms each"
        )?;
        for line in &self.lines {
            let each = line.time.as_secs_f64() * 1e3 / line.tried.max(1) as f64;
            let (slowest, name) = &line.slowest;
            writeln!(
                f,
                "{:18} {:>9} {:>9} {:>9} {:>7} {each:>8.3}  {slowest:.1?} {name}",
                line.reader, line.tried, line.refused, line.accepted, line.failed
            )?;
        }
        let tried: u64 = self.lines.iter().map(|line| line.tried).sum();
        writeln!(f, "{tried} inputs in all")?;
        for (failure, times) in self.failures.values() {
            writeln!(f, "{failure}\n  {times} of this kind")?;
        }
        Ok(())
    }
}
