//! How long work shows itself: bars on a terminal, a plain line every few seconds elsewhere.
//!
//! In: `say` and `task.advance`. Out: lines on one sink (stderr in the command) and the same lines in the files of
//! [`Progress::logging_to`]. How to show is decided once, by the caller.
//! Does not decide what is worth saying and never writes to stdout.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Error, Result, printable};

/// Least and most time between two plain progress lines.
const PLAIN_INTERVAL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// Between the two: this part of the time so far, so that a log of hours stays short.
const PLAIN_PART: u32 = 10;

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Bars redrawn in place on stderr, which is a terminal.
    Bars,
    /// Plain lines on stderr.
    Lines,
    /// Nothing, except in `run.log`.
    Nothing,
}

/// The voice of a command. Clones share the sink and the logs.
#[derive(Clone)]
pub struct Progress {
    show: Show,
    sink: Arc<Mutex<Box<dyn Write + Send>>>,
    /// What was said before there was a log to write it to.
    before: Arc<Mutex<String>>,
    logs: Vec<Arc<File>>,
}

impl Progress {
    /// Speaks to `sink` (stderr in the command) in the way `show` says.
    pub fn new(show: Show, sink: impl Write + Send + 'static) -> Self {
        Self {
            show,
            sink: Arc::new(Mutex::new(Box::new(sink))),
            before: Arc::default(),
            logs: Vec::new(),
        }
    }

    /// Says nothing: for tests and library use.
    pub fn silent() -> Self {
        Self::new(Show::Nothing, std::io::sink())
    }

    /// The same voice, whose lines also go to the end of the file at `path`. The first log of a voice begins with the
    /// lines that were said before.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn logging_to(&self, path: &Path) -> Result<Self> {
        let open = OpenOptions::new().append(true).create(true).open(path);
        let mut file = open.map_err(Error::io("create", path))?;
        if self.logs.is_empty() {
            let before = lock(&self.before);
            file.write_all(before.as_bytes())
                .map_err(Error::io("write", path))?;
        }
        let mut with_log = self.clone();
        with_log.logs.push(Arc::new(file));
        Ok(with_log)
    }

    /// A voice without logs and with nothing said, on the same sink: for the next of several jobs.
    pub fn apart(&self) -> Self {
        Self {
            before: Arc::default(),
            logs: Vec::new(),
            ..self.clone()
        }
    }

    /// One line for the user and the log.
    pub fn say(&self, line: &str) {
        let line = &*printable(line); // names and texts of files stand in it
        self.log(line);
        if self.show != Show::Nothing {
            // A closed stderr must not end a long run.
            let _ = writeln!(lock(&self.sink), "{line}");
        }
    }

    /// One line for the log only.
    pub fn log(&self, line: &str) {
        let line = format!("{line}\n");
        if self.logs.is_empty() {
            lock(&self.before).push_str(&line);
        }
        for mut log in self.logs.iter().map(Arc::as_ref) {
            let _ = log.write_all(line.as_bytes()); // a full disk loses the log, not the run
        }
    }

    /// Begins a piece of work of `total` units (`rows`, `bytes`, `steps`, …).
    pub fn task(&self, name: &str, total: u64, unit: &'static str) -> Task {
        let target = match self.show {
            Show::Bars => ProgressDrawTarget::stderr(),
            Show::Lines | Show::Nothing => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        bar.set_style(style(unit));
        bar.set_prefix(name.to_owned());
        Task {
            progress: self.clone(),
            bar,
            name: name.to_owned(),
            unit,
            last_line: Mutex::new(Instant::now()),
        }
    }
}

/// What a bar looks like. The note comes last and is cut where the terminal ends: a line that is longer would be drawn over and
/// over.
fn style(unit: &str) -> ProgressStyle {
    let counts = match unit {
        "bytes" => "{bytes}/{total_bytes}".to_owned(),
        unit => format!("{{human_pos}}/{{human_len}} {unit}"),
    };
    let template =
        format!("{{prefix}} {{bar:12}} {counts} [{{elapsed}}, {{eta}} left] {{wide_msg}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A piece of work under way. Dropping it clears its bar.
pub struct Task {
    progress: Progress,
    bar: ProgressBar,
    name: String,
    unit: &'static str,
    last_line: Mutex<Instant>,
}

impl Task {
    /// `n` more units are done.
    pub fn advance(&self, n: u64) {
        self.bar.inc(n);
        let mut last_line = lock(&self.last_line);
        if last_line.elapsed() >= plain_interval(self.bar.elapsed()) {
            *last_line = Instant::now();
            self.line();
        }
    }

    /// `n` units were done by an earlier process; they say nothing about the time left.
    pub fn skip(&self, n: u64) {
        self.bar.set_position(n);
        self.bar.reset_eta();
    }

    /// Units of the whole work.
    pub fn total(&self) -> u64 {
        self.bar.length().unwrap_or(0)
    }

    /// A short text beside the bar: the loss, the file under way.
    pub fn note(&self, text: String) {
        self.bar.set_message(printable(&text).into_owned());
    }

    /// A line that stays, above the bar.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| self.progress.say(line));
    }

    fn line(&self) {
        let line = format!(
            "{} {}/{} {} {} [{}, {} left]",
            self.name,
            self.bar.position(),
            self.total(),
            self.unit,
            self.bar.message(),
            HumanDuration(self.bar.elapsed()),
            HumanDuration(self.bar.eta()),
        );
        match self.progress.show {
            Show::Bars => self.progress.log(&line),
            Show::Lines | Show::Nothing => self.progress.say(&line),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Time from one plain line to the next, `elapsed` after the work began.
fn plain_interval(elapsed: Duration) -> Duration {
    let (least, most) = PLAIN_INTERVAL;
    (elapsed / PLAIN_PART).clamp(least, most)
}

/// A poisoned lock only means that another thread panicked while it was writing a line.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says why a test does not run, past the capture of the test harness, and leaves it for the list at the end of all tests.
#[cfg(test)]
pub fn skipped(reason: &str) {
    let line = match std::thread::current().name() {
        Some(test) => format!("skipped: {test}: {reason}\n"),
        None => format!("skipped: {reason}\n"),
    };
    let _ = std::io::stderr().write_all(line.as_bytes());
    let program = std::env::current_exe().unwrap_or_default();
    let list = program.ancestors().nth(3); // the folder `target`
    let list = list.map(|target| target.join("tmp/skipped.txt"));
    let open = list.map(|list| OpenOptions::new().append(true).create(true).open(list));
    if let Some(Ok(mut list)) = open {
        let _ = list.write_all(line.as_bytes()); // it was told already
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    #[test]
    fn a_bar_fits_eighty_columns_and_keeps_what_counts() {
        for (columns, note) in [
            (80, "epoch 2/3 loss 0.312"),
            (120, "epoch 2/3 loss 0.312 lr 2.9e-4"),
        ] {
            let terminal = InMemoryTerm::new(4, columns);
            let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
            let bar = ProgressBar::with_draw_target(Some(36_660), target);
            bar.set_style(style("steps"));
            bar.set_prefix("train");
            bar.set_position(12_345);
            bar.set_message("epoch 2/3 loss 0.312 lr 2.9e-4".to_owned());
            bar.tick();
            let shown = terminal.contents();
            assert_eq!(shown.lines().count(), 1, "{shown}");
            for part in ["train ", " 12,345/36,660 steps [", " left] ", note] {
                assert!(shown.contains(part), "{part}: {shown}");
            }
        }
    }

    #[test]
    fn plain_lines_are_a_handful_at_first_and_ever_rarer() {
        let lines = |total: Duration| {
            let mut at = Duration::ZERO;
            let mut lines = 0;
            while at < total {
                at += plain_interval(at);
                lines += 1;
            }
            lines
        };
        assert_eq!(lines(Duration::from_secs(50)), 10);
        assert!(lines(Duration::from_secs(3600)) < 60);
        assert!(lines(Duration::from_secs(6 * 3600)) < 130);
    }

    #[test]
    fn a_log_holds_what_was_said_before_and_a_second_one_only_what_comes_after() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = |name: &str| folder.path().join(name);
        let text = |name: &str| std::fs::read_to_string(path(name)).expect("a log");
        let voice = Progress::silent();
        voice.say("read");
        let run = voice.logging_to(&path("run")).expect("a new file");
        run.say("begin");
        let fold = run.logging_to(&path("fold")).expect("a new file");
        fold.say("fold 1");
        run.say("end");
        assert_eq!(text("run"), "read\nbegin\nfold 1\nend\n");
        assert_eq!(text("fold"), "fold 1\n");
        // A log that is there goes on.
        let again = Progress::silent().logging_to(&path("fold"));
        again.expect("the same file").say("again");
        assert_eq!(text("fold"), "fold 1\nagain\n");
    }
}
