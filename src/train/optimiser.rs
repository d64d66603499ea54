//! AdamW over all parameters of a model, with clipping by the global norm.
//!
//! Biases and norms do not decay. A parameter whose gradient is exactly zero (a head that the objective does
//! not use) is left alone, as PyTorch does with a gradient of `None`.

use dfdx::prelude::{Cpu, Gradients};

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

/// Moments of all parameters, and the number of steps done.
#[derive(Debug)]
pub struct Optimiser {
    options: AdamWOptions,
    moments: Vec<(Vec<f32>, Vec<f32>)>,
    steps: u64,
}

impl Optimiser {
    /// Moments begin at 0.
    pub fn new(options: AdamWOptions) -> Self {
        Self {
            options,
            moments: Vec::new(),
            steps: 0,
        }
    }

    /// One step; returns the gradients, zeroed for the next one, and their norm before clipping. A norm that
    /// is not finite changes nothing.
    ///
    /// # Errors
    /// Where memory runs out.
    pub fn step(
        &mut self,
        model: &mut Bert,
        gradients: Gradients<f32, Cpu>,
        learning_rate: f64,
    ) -> Result<(Gradients<f32, Cpu>, f64)> {
        let mut gradients = model.parameters.carry_over(gradients)?;
        let mut squares = Vec::new();
        model
            .parameters
            .visit_mut(&mut gradients, |_, _, values, gradient| {
                squares.push(adamw::sum_of_squares(gradient));
                if self.moments.len() < squares.len() {
                    self.moments
                        .push((vec![0.0; values.len()], vec![0.0; values.len()]));
                }
            })?;
        let norm = squares.iter().sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Ok((gradients, norm));
        }
        self.steps += 1;
        let too_long = self.options.clip > 0.0 && norm > self.options.clip;
        let constants = AdamW {
            learning_rate: learning_rate as f32,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6, // BERT's own, outside the root
            step: self.steps,
            gradient_scale: if too_long {
                (self.options.clip / norm) as f32
            } else {
                1.0
            },
        };
        model
            .parameters
            .visit_mut(&mut gradients, |index, is_matrix, values, gradient| {
                if squares[index] > 0.0 {
                    let weight_decay = if is_matrix {
                        self.options.weight_decay as f32
                    } else {
                        0.0
                    };
                    let (first, second) = &mut self.moments[index];
                    AdamW {
                        weight_decay,
                        ..constants
                    }
                    .update(values, gradient, first, second);
                }
            })?;
        Ok((gradients, norm))
    }
}
