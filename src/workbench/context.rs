//! What a long job is handed down from the command to its innermost loop: a voice, and the wish to stop.

use super::Stop;
use crate::progress::Progress;

/// Where a job shows how far it is, and what tells it to end early.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Bars and lines, with the logs they go to.
    pub progress: &'a Progress,
    /// Asked between pieces of work.
    pub stop: &'a Stop,
    /// Whether fits leave event files for TensorBoard.
    pub tensorboard: bool,
}

impl<'a> Context<'a> {
    /// The same wish to stop, with another voice.
    pub fn with_progress(self, progress: &'a Progress) -> Self {
        Self { progress, ..self }
    }
}
