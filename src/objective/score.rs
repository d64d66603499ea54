//! Scores of rows by a network and its objective.

use dfdx::prelude::NoneTape;

use super::Objective;
use crate::data::{EncodedExample, PackedBatch, Scores, TokenTypes};
use crate::model::{Bert, Pass};

/// Scores of rows, in their order, read at `[CLS]` without masks; with `swap` the mean over both orders of the texts, which go
/// through the network together. A bi-encoder reads each text by itself, and its scores know no order; a row of one text is
/// compared with itself. None where the objective learns no label.
pub fn scores(
    objective: &dyn Objective,
    model: &Bert,
    rows: &[EncodedExample],
    swap: bool,
) -> Option<Scores> {
    let types = objective.token_types(&model.config);
    let is_bi_encoder = objective.is_bi_encoder();
    let swap = swap && types != TokenTypes::Second && !is_bi_encoder;
    let mut batch = PackedBatch::default();
    for row in rows {
        if is_bi_encoder {
            batch.push_texts(&row.a, None, TokenTypes::Zero);
            batch.push_texts(row.b.as_ref().unwrap_or(&row.a), None, TokenTypes::Zero);
            continue;
        }
        batch.push_texts(&row.a, row.b.as_deref(), types);
        if swap && let Some(b) = &row.b {
            batch.push_texts(b, Some(&row.a), types);
        }
    }
    let first: Vec<u32> = batch.cls_positions().iter().map(|&p| p as u32).collect();
    let states = model.encode(&Pass::prediction(&batch, &first), NoneTape);
    let scores = objective.scores(model, states)?;
    let mut seen = 0;
    let mut merged = Scores::new(scores.width);
    for row in rows {
        let orders = 1 + usize::from(swap && row.b.is_some());
        match orders {
            1 => merged.values.extend(scores.row(seen)),
            _ => {
                let both = scores.row(seen).iter().zip(scores.row(seen + 1));
                merged.values.extend(both.map(|(x, y)| (x + y) / 2.0));
            }
        }
        seen += orders;
    }
    Some(merged)
}
