//! Averages of weights over the steps of a stage: what is validated, kept and scores, while the training itself goes on from
//! the last weights.
//!
//! In: a network after each step. Out: an [`Average`], part of the state of a fit. Costs a pass over the weights where it is
//! renewed, and their memory once.

pub mod ema;
pub mod swa;

use serde::{Deserialize, Serialize};

use super::TrainOptions;
use crate::checkpoint::Weights;
use crate::model::Bert;

/// `train.average`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AverageKind {
    /// The last weights themselves.
    #[default]
    None,
    /// An exponential average over the steps.
    Ema,
    /// The mean of the weights after the last epochs.
    Swa,
}

/// Weights that are an average.
#[derive(Debug, Clone, PartialEq)]
pub struct Average {
    /// As of the network.
    pub weights: Weights,
    /// How many weights went in.
    pub n: u64,
}

/// Where a step stands in its stage.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Whether it is the last of its epoch.
    pub ends_epoch: bool,
    /// Epochs after this one.
    pub epochs_left: usize,
}

/// Renews `average` with the weights after a step.
pub fn renew(average: &mut Option<Average>, model: &Bert, options: &TrainOptions, place: Place) {
    let n = average.as_ref().map_or(0, |average| average.n);
    let share = match options.average {
        AverageKind::None => None,
        AverageKind::Ema => Some(ema::share(n, options.average_decay)),
        AverageKind::Swa => swa::share(n, options.average_epochs, place),
    };
    let Some(share) = share else { return };
    match average {
        None => {
            *average = Some(Average {
                weights: model.weights(),
                n: 1,
            });
        }
        Some(average) => {
            model.average_into(&mut average.weights, share);
            average.n += 1;
        }
    }
}
