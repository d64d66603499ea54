//! A move of the word embeddings along their gradient, and back: what adversarial training needs of a network.
//!
//! In: a network whose gradients are those of a batch. Out: the same network with other word embeddings, and later with the
//! old ones, bit for bit. Does not know how far to go, and runs no batch.

use std::collections::BTreeMap;

use super::Bert;
use super::network::WORD;
use crate::error::Result;
use crate::kernels::adamw::sum_of_squares;

/// The word embeddings of a network at one moment. Opaque.
#[derive(Debug)]
pub struct WordEmbeddings(Vec<f32>);

/// All gradients of a network at one moment. Opaque.
#[derive(Debug, Default)]
pub struct SavedGradients(BTreeMap<String, Vec<f32>>);

impl Bert {
    /// The word embeddings as they are now.
    pub fn word_embeddings(&self) -> WordEmbeddings {
        WordEmbeddings(self.network.parameters.values(WORD).to_vec())
    }

    /// Moves the word embeddings by `length` (Euclidean, over the whole table) along their gradient, and no further than
    /// `radius` from `origin`. A gradient that is 0 or not finite moves nothing.
    ///
    /// # Errors
    /// [`crate::error::Error::Unexpected`] while a tape still holds the weights.
    pub fn move_word_embeddings(
        &mut self,
        length: f64,
        origin: &WordEmbeddings,
        radius: f64,
    ) -> Result<()> {
        let parameters = self.parameters_mut()?;
        let gradient = parameters.take_gradient(WORD);
        let norm = sum_of_squares(&gradient).sqrt();
        if norm > 0.0 && norm.is_finite() {
            parameters.change(WORD, |values| {
                let step = (length / norm) as f32;
                let each = values.iter_mut().zip(&gradient);
                each.for_each(|(value, gradient)| *value += step * gradient);
                pull_back(values, &origin.0, radius);
            });
        }
        parameters.gradients().put(WORD, gradient);
        Ok(())
    }

    /// Puts the word embeddings back.
    ///
    /// # Errors
    /// As [`Bert::move_word_embeddings`].
    pub fn restore_word_embeddings(&mut self, origin: &WordEmbeddings) -> Result<()> {
        self.parameters_mut()?
            .change(WORD, |values| values.copy_from_slice(&origin.0));
        Ok(())
    }

    /// Takes all gradients out: the next pass begins from zeros.
    ///
    /// # Errors
    /// As [`Bert::move_word_embeddings`].
    pub fn set_gradients_aside(&mut self) -> Result<SavedGradients> {
        Ok(SavedGradients(self.parameters_mut()?.drain_gradients()))
    }

    /// Puts gradients that were set aside in the place of those that there are.
    ///
    /// # Errors
    /// As [`Bert::move_word_embeddings`].
    pub fn restore_gradients(&mut self, saved: SavedGradients) -> Result<()> {
        let parameters = self.parameters_mut()?;
        parameters.drain_gradients();
        for (name, gradient) in saved.0 {
            parameters.gradients().put(&name, gradient);
        }
        Ok(())
    }
}

/// Onto the ball of `radius` around `origin`.
fn pull_back(values: &mut [f32], origin: &[f32], radius: f64) {
    let each = values.iter().zip(origin);
    let moves: Vec<f32> = each.map(|(value, origin)| value - origin).collect();
    let distance = sum_of_squares(&moves).sqrt();
    if distance > radius {
        let share = (radius / distance) as f32;
        for ((value, origin), by) in values.iter_mut().zip(origin).zip(moves) {
            *value = origin + share * by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_outside_the_ball_comes_back_onto_it_and_one_inside_stays() {
        let mut far = [3.0, 4.0, 1.0];
        pull_back(&mut far, &[0.0, 0.0, 1.0], 2.5);
        assert_eq!(far, [1.5, 2.0, 1.0]);
        pull_back(&mut far, &[0.0, 0.0, 1.0], 2.6);
        assert_eq!(far, [1.5, 2.0, 1.0]);
    }
}
