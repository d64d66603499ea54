//! What a fit does, as TensorBoard reads it: an event file beside `metrics.jsonl`.
//!
//! In: the reports of epochs. Out: [`FILE`] in the folder of the fit, with scalars by step: parts of the loss, learning rate,
//! validation figures, figures of held-out lines, speed. A fit that goes on writes it anew. Its times are those of writing, so its bytes are not the same twice:
//! nothing reads it back.

use std::fs::File;
use std::path::{Path, PathBuf};

use syntaxdot_summary::SummaryWriter;

use crate::error::{Error, Result};
use crate::metrics::MetricName;
use crate::train::EpochReport;

/// The event file; TensorBoard looks for `tfevents` in names.
pub const FILE: &str = "events.out.tfevents.cipherpet";

/// An open event file.
pub struct Events {
    path: PathBuf,
    writer: SummaryWriter<File>,
}

impl Events {
    /// Begins the file in `folder` with the epochs that are over.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(folder: &Path, epochs: &[EpochReport]) -> Result<Self> {
        let path = folder.join(FILE);
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        let writer = SummaryWriter::new(file).map_err(Error::io("write", &path))?;
        let mut events = Self { path, writer };
        epochs.iter().try_for_each(|epoch| events.epoch(epoch))?;
        Ok(events)
    }

    /// What one epoch has shown.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn epoch(&mut self, report: &EpochReport) -> Result<()> {
        for point in &report.curve {
            self.scalar("train/loss", point.step, point.loss)?;
            self.scalar("train/learning_rate", point.step, point.learning_rate)?;
            for (name, loss) in &point.losses {
                self.scalar(&format!("train/{name}"), point.step, *loss)?;
            }
        }
        for (metric, figure) in &report.valid.scores {
            let name = MetricName::metric(*metric).name;
            self.scalar(&format!("valid/{name}"), report.steps, *figure)?;
        }
        for (name, figure) in &report.held_out {
            self.scalar(&format!("held_out/{name}"), report.steps, *figure)?;
        }
        self.scalar(
            "speed/tokens_per_second",
            report.steps,
            report.tokens_per_second,
        )
    }

    fn scalar(&mut self, tag: &str, step: usize, value: f64) -> Result<()> {
        let written = self.writer.write_scalar(tag, step as i64, value as f32);
        written.map_err(Error::io("write", &self.path))
    }
}
