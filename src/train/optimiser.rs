//! AdamW over all parameters of a model, with clipping by the global norm.
//!
//! Biases and norms do not decay. A parameter whose gradient is exactly zero (a head that the objective does
//! not use) is left alone, as PyTorch does with a gradient of `None`.

use crate::error::Result;
use crate::kernels::adamw::{self, AdamW};
use crate::model::Bert;

/// Constants of a fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    /// Decoupled decay of matrices.
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 = no clipping.
    pub clip: f64,
}

/// What AdamW remembers from step to step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// First and second moment of each parameter, in the order of the parameters' names; empty where there was no
    /// gradient yet.
    pub pairs: Vec<(Vec<f32>, Vec<f32>)>,
    /// Steps done.
    pub steps: u64,
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
        let parameters = model.parameters_mut()?;
        let squares = parameters.measure_gradients(adamw::sum_of_squares);
        let norm = squares.iter().flatten().sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Ok(norm);
        }
        self.moments.steps += 1;
        let too_long = self.options.clip > 0.0 && norm > self.options.clip;
        let constants = AdamW {
            learning_rate: learning_rate as f32,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6, // BERT's own, outside the root
            step: self.moments.steps,
            gradient_scale: if too_long {
                (self.options.clip / norm) as f32
            } else {
                1.0
            },
        };
        let pairs = &mut self.moments.pairs;
        if pairs.len() < parameters.len() {
            pairs.resize_with(parameters.len(), Default::default);
        }
        let mut states: Vec<_> = pairs.iter_mut().zip(squares).collect();
        parameters.update(
            &mut states,
            |is_matrix, ((first, second), square), values, gradient| {
                if *square == Some(0.0) {
                    // Not always zeros: the squares of tiny numbers vanish. What stayed would join the next step, but
                    // not after a restart.
                    gradient.fill(0.0);
                    return false;
                }
                first.resize(values.len(), 0.0);
                second.resize(values.len(), 0.0);
                let weight_decay = match is_matrix {
                    true => self.options.weight_decay as f32,
                    false => 0.0,
                };
                let constants = AdamW {
                    weight_decay,
                    ..constants
                };
                constants.update(values, gradient, first, second);
                true
            },
        );
        Ok(norm)
    }
}
