//! The wish to stop, from Ctrl-C and from the clock to the loops that can.
//!
//! A signal handler calls [`Stop::request`], `--max-minutes` calls [`Stop::after`]; long work calls [`Stop::check`]
//! between pieces and ends with [`Error::Interrupted`], so that what was finished stays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// A flag that all clones share.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    requested: AtomicBool,
    advanced: AtomicBool,
    deadline: OnceLock<Instant>,
}

impl Stop {
    /// Asks the work under way to end. True where that had been asked before.
    pub fn request(&self) -> bool {
        self.inner.requested.swap(true, Ordering::Relaxed)
    }

    /// Asks the work to end once `time` has passed from now, but not before [`Stop::advanced`]: however short the
    /// time, each session brings the work forward, and a chain of them ends. Only the first call counts.
    pub fn after(&self, time: Duration) {
        // A time beyond what the clock can count never passes.
        if let Some(deadline) = Instant::now().checked_add(time) {
            let _ = self.inner.deadline.set(deadline);
        }
    }

    /// Something was done that need not be done again after a restart.
    pub fn advanced(&self) {
        self.inner.advanced.store(true, Ordering::Relaxed);
    }

    /// Whether the time of [`Stop::after`] has passed, whatever was done: for those who wait for another process, and
    /// whose waiting brings nothing forward.
    pub fn is_late(&self) -> bool {
        let deadline = self.inner.deadline.get();
        deadline.is_some_and(|&deadline| Instant::now() >= deadline)
    }

    /// Called between pieces of work.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once [`Stop::request`] was called or the time of [`Stop::after`] has passed.
    pub fn check(&self) -> Result<()> {
        let late = || self.inner.advanced.load(Ordering::Relaxed) && self.is_late();
        if self.inner.requested.load(Ordering::Relaxed) || late() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reaches_every_clone() {
        let stop = Stop::default();
        let seen_by_work = stop.clone();
        assert!(seen_by_work.check().is_ok());
        assert!(!stop.request());
        assert!(matches!(seen_by_work.check(), Err(Error::Interrupted)));
        assert!(stop.request());
    }

    #[test]
    fn time_that_is_up_stops_only_work_that_has_advanced() {
        let stop = Stop::default();
        stop.after(Duration::ZERO);
        stop.after(Duration::MAX);
        assert!(stop.check().is_ok());
        stop.clone().advanced();
        assert!(matches!(stop.check(), Err(Error::Interrupted)));
    }

    #[test]
    fn a_time_without_end_never_passes() {
        let stop = Stop::default();
        stop.after(Duration::MAX);
        stop.advanced();
        assert!(stop.check().is_ok());
    }
}
