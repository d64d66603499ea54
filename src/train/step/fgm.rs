//! FGM: a second pass where the word embeddings have moved against the network (Miyato et al. 2016,
//! <https://arxiv.org/abs/1605.07725>; over the whole table: <https://kexue.fm/archives/7234>).
//!
//! The embeddings move by `epsilon · g / |g|`, g their gradient of the first pass; the gradient of the second pass is added to
//! the first; the embeddings come back, bit for bit. The decoder of the MLM head is tied to them and moves along. Costs one more
//! pass. Nearest relative: [`super::pgd`].

use crate::error::Result;
use crate::model::Bert;
use crate::objective::LossReport;

/// Adds the gradient of the moved network to that which is there. `pass` runs the batches of the step.
///
/// # Errors
/// Those of `pass`.
pub fn add(
    model: &mut Bert,
    epsilon: f64,
    pass: &mut dyn FnMut(&Bert) -> Result<LossReport>,
) -> Result<()> {
    let origin = model.word_embeddings();
    model.move_word_embeddings(epsilon, &origin, epsilon)?;
    pass(model)?;
    model.restore_word_embeddings(&origin)
}
