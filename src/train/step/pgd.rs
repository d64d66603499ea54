//! PGD: several small moves of the word embeddings against the network, never further than a ball (Madry et al. 2017,
//! <https://arxiv.org/abs/1706.06083>).
//!
//! Of `steps` moves each goes `2.5 · epsilon / steps` along the gradient of the pass before, and back onto the ball of radius
//! `epsilon` around the embeddings as they were. The gradient at the last place is added to that of the plain pass; those on the
//! way are forgotten; the embeddings come back, bit for bit. Costs `steps` more passes. Nearest relative: [`super::fgm`].

use crate::error::Result;
use crate::model::Bert;
use crate::objective::LossReport;

/// Adds the gradient at the last place to that which is there. `pass` runs the batches of the step; `steps` is at least 1.
///
/// # Errors
/// Those of `pass`.
pub fn add(
    model: &mut Bert,
    epsilon: f64,
    steps: usize,
    pass: &mut dyn FnMut(&Bert) -> Result<LossReport>,
) -> Result<()> {
    let origin = model.word_embeddings();
    let length = 2.5 * epsilon / steps as f64;
    let mut plain = None;
    for step in 1..=steps {
        model.move_word_embeddings(length, &origin, epsilon)?;
        let before = model.set_gradients_aside()?;
        let plain = plain.get_or_insert(before);
        if step == steps {
            model.restore_gradients(std::mem::take(plain))?;
        }
        pass(model)?;
    }
    model.restore_word_embeddings(&origin)
}
