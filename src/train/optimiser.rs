//! The optimiser of a fit: AdamW with its constants and what it remembers.
//!
//! Does not compute: that is [`Bert::adamw_step`].

use crate::error::Result;
use crate::model::{AdamWStep, Bert, Moments};

/// Constants of a fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    /// Decoupled decay of matrices.
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 = no clipping.
    pub clip: f64,
    /// Factor of the rate from one layer to the next one below, in 0..=1; 1 = one rate for all.
    pub layer_decay: f64,
}

/// The optimiser of one fit.
#[derive(Debug)]
pub struct Optimiser {
    options: AdamWOptions,
    moments: Moments,
}

impl Optimiser {
    /// Moments begin at 0.
    pub fn new(options: AdamWOptions) -> Self {
        Self::resume(options, Moments::default())
    }

    /// Goes on with the moments of an earlier optimiser of the same model.
    pub fn resume(options: AdamWOptions, moments: Moments) -> Self {
        Self { options, moments }
    }

    /// What [`Optimiser::resume`] needs.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// One step; leaves the gradients at zero for the next one, and returns their norm before clipping. A norm that
    /// is not finite changes nothing.
    ///
    /// # Errors
    /// While a tape still holds the weights.
    pub fn step(&mut self, model: &mut Bert, learning_rate: f64) -> Result<f64> {
        let step = AdamWStep {
            learning_rate,
            weight_decay: self.options.weight_decay,
            clip: self.options.clip,
            layer_decay: self.options.layer_decay,
        };
        model.adamw_step(&mut self.moments, &step)
    }
}
