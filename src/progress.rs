//! How long work shows itself: bars on a terminal, a plain line every few seconds elsewhere.
//!
//! In: `say` and `task.advance`. Out: lines on one sink (stderr in the command) and, once
//! [`Progress::log_to`] was called, the same lines in `run.log`. How to show is decided once, by the caller.
//! Does not decide what is worth saying and never writes to stdout.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Error, Result};

/// Seconds between two plain progress lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

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

/// The voice of a command. Clones share the sink.
#[derive(Clone)]
pub struct Progress {
    inner: Arc<Inner>,
}

struct Inner {
    show: Show,
    sink: Mutex<Box<dyn Write + Send>>,
    log: Mutex<Option<File>>,
}

impl Progress {
    /// Speaks to `sink` (stderr in the command) in the way `show` says.
    pub fn new(show: Show, sink: impl Write + Send + 'static) -> Self {
        let inner = Inner {
            show,
            sink: Mutex::new(Box::new(sink)),
            log: Mutex::new(None),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Says nothing: for tests and library use.
    pub fn silent() -> Self {
        Self::new(Show::Nothing, std::io::sink())
    }

    /// Copies every later line into the file at `path`, which is created anew.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be created.
    pub fn log_to(&self, path: &Path) -> Result<()> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        *lock(&self.inner.log) = Some(file);
        Ok(())
    }

    /// One line for the user and the log.
    pub fn say(&self, line: &str) {
        self.log(line);
        if self.inner.show != Show::Nothing {
            // A closed stderr must not end a long run.
            let _ = writeln!(lock(&self.inner.sink), "{line}");
        }
    }

    /// One line for the log only.
    pub fn log(&self, line: &str) {
        if let Some(file) = lock(&self.inner.log).as_mut() {
            let _ = writeln!(file, "{line}"); // a full disk loses the log, not the run
        }
    }

    /// Begins a piece of work of `total` units (`rows`, `bytes`, `steps`, …).
    pub fn task(&self, name: &str, total: u64, unit: &'static str) -> Task {
        let target = match self.inner.show {
            Show::Bars => ProgressDrawTarget::stderr(),
            Show::Lines | Show::Nothing => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let counts = if unit == "bytes" {
            "{bytes}/{total_bytes}"
        } else {
            "{human_pos}/{human_len} "
        };
        let unit_text = if unit == "bytes" { "" } else { unit };
        let template = format!(
            "{{prefix}} {{bar:24}} {counts}{unit_text} {{msg}} [{{elapsed}}, {{eta}} left]"
        );
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
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
        if last_line.elapsed() >= PLAIN_INTERVAL {
            *last_line = Instant::now();
            self.line();
        }
    }

    /// A short text beside the bar: the loss, the file under way.
    pub fn note(&self, text: String) {
        self.bar.set_message(text);
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
            self.bar.length().unwrap_or(0),
            self.unit,
            self.bar.message(),
            HumanDuration(self.bar.elapsed()),
            HumanDuration(self.bar.eta()),
        );
        match self.progress.inner.show {
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

/// A poisoned lock only means that another thread panicked while it was writing a line.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
