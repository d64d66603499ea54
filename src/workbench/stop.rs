//! The wish to stop, from Ctrl-C to the loops that can.
//!
//! A signal handler calls [`Stop::request`]; long work calls [`Stop::check`] between pieces and ends
//! with [`Error::Interrupted`], so that what was finished stays readable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// A flag that all clones share.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    requested: Arc<AtomicBool>,
}

impl Stop {
    /// Asks the work under way to end. True where that had been asked before.
    pub fn request(&self) -> bool {
        self.requested.swap(true, Ordering::Relaxed)
    }

    /// Called between pieces of work.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once [`Stop::request`] was called.
    pub fn check(&self) -> Result<()> {
        if self.requested.load(Ordering::Relaxed) {
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
}
