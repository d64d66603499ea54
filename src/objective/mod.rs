//! What the network learns from a batch: one file an objective. Batch in; loss, its parts and scores out.
//!
//! | name | labels | head | loss of the labels |
//! |---|---|---|---|
//! | [`mlm`] | none | MLM | none |
//! | [`pet`] | binary, classes | MLM | cross-entropy of a label token at `[CLS]`, over the whole vocabulary |
//! | [`ce`] | binary, classes | linear | softmax cross-entropy |
//! | [`bce`] | binary, several | linear | binary cross-entropy, mean over the labels |
//! | [`cosent`] | binary, ordinal | linear, or MLM | CoSENT: every row above those of lower labels |
//! | [`mse`] | binary, ordinal | linear, or MLM | squared error |
//! | [`nsp`] | binary | pooler and next sentence | softmax cross-entropy of "is next", or over candidates ([`choice`]) |
//! | [`simbert`] | binary, 1 alone | pooler without tanh, MLM | softmax of cosines within the batch, and generation |
//!
//! All but `mlm` may add the MLM term: mean cross-entropy at masked places, times `mlm_weight`. `simbert` has generation in its place.
//!
//! # How to add an objective
//! 1. A file here with its [`Recipe`] and a type that implements [`Objective`]: which heads it needs, its loss in dfdx
//!    operations over states and heads of [`crate::model`], and how states become scores. `//!` states the formula, logits or
//!    probabilities, the range of the labels, the paper and the nearest relative. What dfdx cannot write in good time enters
//!    through [`crate::model::ops::closed_form`].
//!    An objective of one number a row is its loss alone, as [`mse`] is: `number.rs` has the rest.
//! 2. A variant of [`ObjectiveName`] and its line in [`ObjectiveName::recipe`].
//! 3. A row in the table above, and in that of `tests/it/objective.rs`, which checks the gradient through the whole network.
//!
//! What goes around an objective, such as R-Drop or adversarial passes, is a kind of step: [`crate::train::step`].
//!
//! Does not know about folds, files, steps or optimisers.

pub mod batch;
pub mod bce;
pub mod ce;
pub mod choice;
pub mod cosent;
mod joint;
pub mod mlm;
pub mod mse;
pub mod nsp;
mod number;
pub mod pet;
mod score;
pub mod simbert;

use dfdx::prelude::{Cpu, OwnedTape};
use serde::{Deserialize, Serialize};

pub use batch::{Batch, Counts, Draw};
pub use choice::Candidates;
pub use score::scores;

use crate::checkpoint::{BertConfig, Heads};
use crate::data::{EncodedExample, LabelKind, Scores, Target, TokenTypes};
use crate::model::Bert;
use crate::model::tensor::{Matrix, Scalar};

/// The tape of a training step.
pub type StepTape = OwnedTape<f32, Cpu>;

/// An objective by its name, as `objective.name` and a stage write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveName {
    /// Masked tokens alone.
    Mlm,
    /// Joint MLM and label prediction by one head.
    #[default]
    Pet,
    /// Softmax cross-entropy.
    Ce,
    /// Binary cross-entropy of each label.
    Bce,
    /// A ranking loss.
    Cosent,
    /// Squared error.
    Mse,
    /// Next sentence prediction.
    Nsp,
    /// Generation and similarity of texts that mean the same.
    Simbert,
}

/// What is known of an objective before there is a task: an entry of the table.
pub struct Recipe {
    /// As it is written in a config.
    pub name: &'static str,
    /// Kinds of label it learns; none for the MLM, which needs no label.
    pub labels: &'static [LabelKind],
    /// The weight of the MLM term, or of generation, where none is set.
    pub mlm_weight: f64,
    /// Whether scores are logits, of which probabilities can be made, and not other numbers that say the same order.
    pub scores_are_logits: bool,
    /// The objective with these settings, for labels like these.
    pub make: fn(&ObjectiveOptions, &Answers) -> Box<dyn Objective>,
}

impl ObjectiveName {
    /// The table.
    pub fn recipe(self) -> &'static Recipe {
        match self {
            Self::Mlm => &mlm::RECIPE,
            Self::Pet => &pet::RECIPE,
            Self::Ce => &ce::RECIPE,
            Self::Bce => &bce::RECIPE,
            Self::Cosent => &cosent::RECIPE,
            Self::Mse => &mse::RECIPE,
            Self::Nsp => &nsp::RECIPE,
            Self::Simbert => &simbert::RECIPE,
        }
    }

    /// As it is written in a config.
    pub fn name(self) -> &'static str {
        self.recipe().name
    }

    /// Kinds of label it learns; none for the MLM, which needs no label.
    pub fn labels(self) -> &'static [LabelKind] {
        self.recipe().labels
    }

    /// What it does with two texts, where it takes pairs alone: token types 0 and 1 tell the texts apart.
    pub fn of_pairs(self) -> Option<&'static str> {
        match self {
            Self::Nsp => Some("says whether one text follows another"),
            Self::Simbert => Some("writes one text of a pair from the other"),
            _ => None,
        }
    }

    /// Whether a linear head alone can answer it: [`HeadChoice::Mlm`] cannot.
    pub fn needs_linear_head(self) -> bool {
        matches!(self, Self::Ce | Self::Bce)
    }

    /// Whether a row without a label teaches it anything, where the MLM term or generation has this weight.
    pub fn learns_without_labels(self, mlm_weight: f64) -> bool {
        match self {
            Self::Mlm => true,
            Self::Simbert => false, // it writes one text of a positive pair from the other
            _ => mlm_weight > 0.0,
        }
    }

    /// Whether rows get scores from it.
    pub fn gives_scores(self) -> bool {
        !self.labels().is_empty()
    }

    /// Whether its scores are logits ([`Recipe::scores_are_logits`]).
    pub fn scores_are_logits(self) -> bool {
        self.recipe().scores_are_logits
    }

    /// Whether a label may be a probability, and is learnt as one: `simbert` takes a pair for a positive one or leaves it out.
    pub fn takes_soft_labels(self) -> bool {
        self.gives_scores() && self != Self::Simbert
    }

    /// Whether its scores of grades are grades themselves, and not numbers on a scale of their own, another one in each model.
    pub fn scores_are_grades(self) -> bool {
        self == Self::Mse
    }
}

/// `objective.head`: which head says what the label is, where an objective leaves the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadChoice {
    /// A linear map of the pooled state of `[CLS]` (pooler with tanh), as `BertForSequenceClassification` has it.
    #[default]
    Pooler,
    /// A linear map of the state of `[CLS]` itself.
    Cls,
    /// The MLM head at `[CLS]`: the logit of `[YES]` above that of `[NO]`.
    Mlm,
}

/// `objective.head_start`: what a linear head starts as, where not from fresh values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadStart {
    /// The checkpoint's next-sentence head, of labels 0 and 1.
    Nsp,
}

/// The settings of an objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectiveOptions {
    /// Which.
    pub name: ObjectiveName,
    /// Weight of the MLM term, or of generation, 0 or more.
    pub mlm_weight: f64,
    /// Which head, where there is a choice.
    pub head: HeadChoice,
    /// Share of the texts that are read to be written anew that are damaged, 0 to 1.
    pub corrupt_sources: f64,
    /// Which text of a pair is a candidate, where rows that share the other one are asked together.
    pub candidates: Option<Candidates>,
    /// Label smoothing of the choice among candidates, 0 to 1: how many there are is known to the objective alone. Other labels are
    /// smoothed in their rows.
    pub choice_smoothing: f64,
}

/// What the labels of a run are, as objectives need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// Kind of label.
    pub labels: LabelKind,
    /// Classes; 2 for binary labels, 0 for ordinals.
    pub n_classes: usize,
    /// Rows of the vocabulary that stand for the classes in the MLM head, in their order: `[NO]` and `[YES]`, or `[C0]`, `[C1]`, …
    pub tokens: Vec<u32>,
}

impl ObjectiveOptions {
    /// The objective with these settings, for labels like these.
    pub fn objective(&self, answers: &Answers) -> Box<dyn Objective> {
        (self.name.recipe().make)(self, answers)
    }
}

/// What a network learns from.
pub trait Objective: std::fmt::Debug + Send + Sync {
    /// The heads it needs.
    fn heads(&self) -> Heads;

    /// Weight of the MLM term; 0 where there is none and no token is hidden.
    fn mlm_weight(&self) -> f64;

    /// Whether it puts other tokens in the place of some.
    fn damages_texts(&self) -> bool {
        self.mlm_weight() > 0.0
    }

    /// Looks at all rows of its stage, before the first batch of them.
    fn prepare(&mut self, _rows: &[EncodedExample]) {}

    /// Tokens that the network reads for a row in training, `[CLS]` and `[SEP]` included.
    fn n_tokens(&self, row: &EncodedExample) -> usize {
        row.n_tokens()
    }

    /// Whether a label of this kind tells it anything.
    fn uses(&self, target: &Target) -> bool;

    /// Whether the first text of a row stands before the second: token types tell them apart, and they are never swapped.
    fn has_order(&self) -> bool {
        false
    }

    /// Whether the two texts of a row are encoded apart for its score (a bi-encoder), and not together (a cross-encoder). Its
    /// score is the same for both orders of the texts, and its token types are all 0 there.
    fn is_bi_encoder(&self) -> bool {
        false
    }

    /// What token types say to a network that was made for `config`.
    fn token_types(&self, config: &BertConfig) -> TokenTypes {
        match (self.has_order(), config.mark_shared) {
            (true, _) => TokenTypes::Second,
            (false, true) => TokenTypes::Shared,
            (false, false) => TokenTypes::Zero,
        }
    }

    /// Rows as the network is to see them, and what is wanted where.
    fn batch(&self, rows: &[EncodedExample], numbers: &[usize], draw: &Draw) -> Batch {
        let draw = draw.with_weight(self.mlm_weight());
        Batch::draw(rows, numbers, &draw, |target| self.uses(target))
    }

    /// The loss of a batch from the states at its wanted positions (N × H), N at least 1.
    fn loss(&self, model: &Bert, batch: &Batch, states: Matrix<StepTape>) -> Loss;

    /// What it says of the labels, from the states of `[CLS]` (rows × H): two passes over the same rows are compared by it. None
    /// where it learns no label.
    fn outputs(&self, model: &Bert, first_states: Matrix<StepTape>) -> Option<Outputs>;

    /// Scores of rows from the states of their `[CLS]` (rows × H); none where it learns no label. A bi-encoder gets two states a
    /// row, the first text's before the second's (2 rows × H).
    fn scores(&self, model: &Bert, first_states: Matrix) -> Option<Scores>;
}

/// What a network says of the labels of some rows.
pub struct Outputs {
    /// (rows × outputs)
    pub values: Matrix<StepTape>,
    /// What they are.
    pub kind: OutputKind,
}

/// What the outputs of an objective are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// Logits of classes that exclude each other.
    Softmax,
    /// Logits of labels, each by itself.
    Sigmoid,
    /// Numbers on the scale of the labels.
    Number,
}

/// A loss under way.
pub struct Loss {
    /// What is to be made small.
    pub total: Scalar<StepTape>,
    /// What it is made of.
    pub parts: Vec<LossPart>,
}

/// A part of a loss, by name, for the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossPart {
    /// `mlm`, `label`, …
    pub name: String,
    /// Sum over `n`.
    pub sum: f64,
    /// Targets, or batches where a part is not a sum over targets.
    pub n: usize,
}

impl LossPart {
    /// A sum over `n` things.
    pub fn new(name: &str, sum: f64, n: usize) -> Self {
        Self {
            name: name.to_owned(),
            sum,
            n,
        }
    }

    /// Adds parts to those of the same names; new ones come behind.
    pub fn add_all(sums: &mut Vec<Self>, parts: &[Self]) {
        for part in parts {
            match sums.iter_mut().find(|sum| sum.name == part.name) {
                Some(sum) => {
                    sum.sum += part.sum;
                    sum.n += part.n;
                }
                None => sums.push(part.clone()),
            }
        }
    }
}

/// The loss of a batch as numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LossReport {
    /// In all.
    pub loss: f64,
    /// What it is made of; empty for a batch without targets.
    pub parts: Vec<LossPart>,
}

impl LossReport {
    /// Adds the loss of a further batch of the same step.
    pub fn add(&mut self, other: Self) {
        self.loss += other.loss;
        LossPart::add_all(&mut self.parts, &other.parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::reserved::{NO, YES};

    #[test]
    fn an_objective_hides_tokens_where_it_learns_without_labels() {
        use ObjectiveName::{Bce, Ce, Cosent, Mlm, Mse, Nsp, Pet, Simbert};
        let answers = Answers {
            labels: LabelKind::Binary,
            n_classes: 2,
            tokens: vec![NO, YES],
        };
        for name in [Mlm, Pet, Ce, Bce, Cosent, Mse, Nsp, Simbert] {
            for mlm_weight in [0.0, 0.5] {
                let options = ObjectiveOptions {
                    name,
                    mlm_weight,
                    head: HeadChoice::Pooler,
                    corrupt_sources: 0.0,
                    candidates: None,
                    choice_smoothing: 0.0,
                };
                let hides = options.objective(&answers).mlm_weight() > 0.0;
                let learns = name.learns_without_labels(mlm_weight);
                assert_eq!(hides, learns, "{name:?} {mlm_weight}");
            }
        }
    }
}
