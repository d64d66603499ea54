//! When a fit is saved, and how a run that was cut goes on.
//!
//! In: a folder under work and the two settings `train.save_every_steps` and `train.save_every_minutes`. Out: the newest
//! whole checkpoint in it, and new ones. What a checkpoint holds is [`crate::train::resume`]'s matter.

use std::path::Path;
use std::time::{Duration, Instant};

use super::lock::Owner;
use super::manifest::TOOL;
use super::names::{DONE, MODEL};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::kernels;
use crate::progress::Progress;
use crate::train::FitPlan;
use crate::train::resume::{Checkpoints, FitState, Origin, Snapshot};

/// The checkpoints of a fit, in the folder that it fills.
const CHECKPOINT: &str = "checkpoint";

/// The checkpoints of a fit under way.
pub struct Saves {
    checkpoints: Checkpoints,
    every_steps: usize,
    every: Option<Duration>,
    last: Instant,
}

impl Saves {
    /// Looks for what an earlier session has left of the fit in `folder`, and says what it found.
    ///
    /// # Errors
    /// [`Error::Refused`] where the newest checkpoint was made by other kernels, [`Error::Io`].
    pub fn open(
        folder: &Path,
        settings: &TrainConfig,
        (kernel_path, plan): (kernels::path::Path, &FitPlan<'_>),
        progress: &Progress,
    ) -> Result<(Self, Option<FitState>)> {
        let origin = Origin {
            tool: TOOL.to_owned(),
            kernel_path: kernel_path.name().to_owned(),
        };
        let mut checkpoints = Checkpoints::open(&folder.join(CHECKPOINT), origin)?;
        let (state, faults) = checkpoints.newest()?;
        for fault in &faults {
            progress.say(&format!("{fault}; falling back to the checkpoint before"));
        }
        match &state {
            Some(state) => progress.say(&resumed_line(state, plan)),
            None if !faults.is_empty() => progress.say("no checkpoint is left: training anew"),
            None => {}
        }
        let minutes = settings.save_every_minutes;
        let every = (minutes > 0.0).then(|| minutes_to_duration(minutes));
        let saves = Self {
            checkpoints,
            every_steps: settings.save_every_steps,
            every,
            last: Instant::now(),
        };
        Ok((saves, state))
    }

    /// Whether to save after this step, counted over the whole fit.
    pub fn are_due(&self, step: usize) -> bool {
        let by_steps = self.every_steps > 0 && step.is_multiple_of(self.every_steps);
        by_steps || self.every.is_some_and(|every| self.last.elapsed() >= every)
    }

    /// Saves a state. One that cannot be saved is tried again only when the next is due.
    ///
    /// # Errors
    /// [`Error::Io`]; what was saved before is untouched.
    pub fn save(&mut self, snapshot: &Snapshot) -> Result<()> {
        let saved = self.checkpoints.save(snapshot);
        self.last = Instant::now();
        saved
    }
}

/// Minutes as a user writes them, 0 or more; beyond what a clock can count: for ever.
pub fn minutes_to_duration(minutes: f64) -> Duration {
    Duration::try_from_secs_f64(60.0 * minutes).unwrap_or(Duration::MAX)
}

fn resumed_line(state: &FitState, plan: &FitPlan<'_>) -> String {
    let progress = &state.progress;
    let (done, total_steps): (usize, usize) =
        (plan.steps_done(progress), plan.totals().iter().sum());
    if done == total_steps && progress.epoch_step == 0 {
        return format!("resuming after the last of {total_steps} steps");
    }
    format!(
        "resuming at step {done} of {total_steps}, in epoch {}",
        progress.epochs.len() + 1
    )
}

/// Says whose lock was taken over.
pub fn say_owner_before(owner: Option<&Owner>, progress: &Progress) {
    if let Some(owner) = owner {
        progress.say(&format!("taking over from {owner}, which was killed"));
    }
}

/// Whether a run in this folder would go on, and not begin anew: it, or one of its folds, has a checkpoint, or a fold
/// is done.
pub fn is_resumable(run: &Path) -> bool {
    let has_checkpoint = |folder: &Path| Checkpoints::are_in(&folder.join(CHECKPOINT));
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    let mut folders = entries.map(|entry| entry.path());
    has_checkpoint(run) || folders.any(|path| has_checkpoint(&path) || path.join(DONE).exists())
}

/// Bytes of the checkpoints and the model in the folder of a run or fold, which going on replaces.
pub fn held_bytes(folder: &Path) -> u64 {
    let entries = [CHECKPOINT, MODEL].map(|inner| std::fs::read_dir(folder.join(inner)));
    let entries = entries.into_iter().flatten().flatten().flatten();
    let files = entries.filter_map(|entry| entry.metadata().ok());
    files
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

/// Removes the checkpoints of a fit that is done and recorded as done.
///
/// # Errors
/// [`Error::Io`].
pub fn forget(folder: &Path) -> Result<()> {
    Checkpoints::remove_all(&folder.join(CHECKPOINT))
}

/// An interruption after which the run in this folder can go on is no loss, and is told as such.
pub fn stopped(error: Error, run: &Path) -> Error {
    match error {
        Error::Interrupted if is_resumable(run) => Error::Stopped {
            state: format!("{} holds what is needed to go on", run.display()),
        },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_without_end_are_no_panic() {
        assert_eq!(minutes_to_duration(0.5), Duration::from_secs(30));
        assert_eq!(minutes_to_duration(1e300), Duration::MAX);
    }

    #[test]
    fn a_run_is_resumable_by_a_checkpoint_or_a_fold_that_is_done() {
        let run = tempfile::tempdir().expect("a folder for the test");
        let run = run.path();
        std::fs::create_dir_all(run.join("fold-1/checkpoint")).expect("a folder");
        assert!(!is_resumable(run) && !is_resumable(&run.join("not there")));
        std::fs::write(run.join("fold-1/checkpoint/3.json"), "{}").expect("a small file");
        assert!(is_resumable(run) && is_resumable(&run.join("fold-1")));
        forget(&run.join("fold-1")).expect("a folder of ours");
        forget(&run.join("fold-1")).expect("nothing left to remove");
        assert!(!is_resumable(run));
        std::fs::write(run.join("fold-1").join(DONE), "{}").expect("a small file");
        assert!(is_resumable(run));
        let stopped = stopped(Error::Interrupted, run);
        assert_eq!(stopped.exit_code(), 75);
        assert_eq!(
            super::stopped(Error::Interrupted, &run.join("fold-1")).exit_code(),
            130
        );
    }
}
