//! Which sentences say most nearly the same as their source: by the cosine of their vectors.
//!
//! In: a source and candidates, as tokens of the vocabulary. Out: the candidates that differ from it and from each other, nearest
//! first. A vector is the state of `[CLS]` of `[CLS] x [SEP]`, alone and of token type 0, through the pooler without tanh, as in
//! SimBERT (<https://kexue.fm/archives/7427>). Writes no sentence.

use rustc_hash::FxHashSet;

use crate::data::{PackedBatch, TokenTypes};
use crate::model::Bert;
use crate::model::sentence::{SentencePooling, cosine, sentence_vectors};

/// Sentences that go through the network at once.
const AT_ONCE: usize = 128;

/// A sentence and how near it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Tokens, without `[CLS]` and `[SEP]`.
    pub sentence: Vec<u32>,
    /// To the source, -1 to 1.
    pub cosine: f32,
}

/// For each source its candidates, without copies of it and of each other, nearest first (of equals the one drawn first).
///
/// # Panics
/// Without a pooler.
pub fn rank(model: &Bert, sources: &[&[u32]], candidates: Vec<Vec<Vec<u32>>>) -> Vec<Vec<Ranked>> {
    let candidates = sources.iter().zip(candidates);
    let candidates: Vec<Vec<Vec<u32>>> = candidates
        .map(|(source, candidates)| distinct(source, candidates))
        .collect();
    let sentences = candidates.iter().flatten().map(Vec::as_slice);
    let texts: Vec<&[u32]> = sources.iter().copied().chain(sentences).collect();
    let width = model.config.hidden_size;
    let vectors = vectors(model, &texts);
    let (of_sources, of_candidates) = vectors.split_at(sources.len() * width);
    let mut of_candidates = of_candidates.chunks_exact(width);
    let rank = |(source, sentences): (&[f32], Vec<Vec<u32>>)| {
        let ranked = sentences.into_iter().zip(&mut of_candidates);
        let mut ranked: Vec<Ranked> = ranked
            .map(|(sentence, vector)| Ranked {
                sentence,
                cosine: cosine(source, vector) as f32,
            })
            .collect();
        ranked.sort_by(|one, other| other.cosine.total_cmp(&one.cosine));
        ranked
    };
    of_sources
        .chunks_exact(width)
        .zip(candidates)
        .map(rank)
        .collect()
}

/// The candidates that differ from the source and from those before.
fn distinct(source: &[u32], mut candidates: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
    let mut seen = FxHashSet::default();
    candidates.retain(|candidate| candidate != source && seen.insert(candidate.clone()));
    candidates
}

/// The vectors of sentences, (sentences × H).
fn vectors(model: &Bert, sentences: &[&[u32]]) -> Vec<f32> {
    let of_some = |sentences: &[&[u32]]| {
        let mut batch = PackedBatch::default();
        for sentence in sentences {
            batch.push_texts(sentence, None, TokenTypes::Zero);
        }
        sentence_vectors(model, &batch, SentencePooling::Pooler)
    };
    sentences.chunks(AT_ONCE).flat_map(of_some).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{BertConfig, Heads};
    use crate::kernels::path::{Path, Precision};
    use crate::random::Key;

    #[test]
    fn copies_go_and_the_nearest_come_first() {
        let config = BertConfig {
            vocab_size: 40,
            hidden_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            intermediate_size: 32,
            max_position_embeddings: 16,
            initializer_range: 0.3,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            ..BertConfig::default()
        };
        let heads = Heads {
            pooler: true,
            ..Heads::default()
        };
        let path = Path::resolve(Precision::F32);
        let model = Bert::initialise(config, heads, path, Key::from_seed(2)).expect("sizes");
        let (one, other) = ([8, 9, 10], [20]);
        let drawn = || {
            vec![
                vec![30, 31],
                vec![8, 9, 10],
                vec![8, 9, 11],
                vec![30, 31],
                vec![8],
            ]
        };
        let found = rank(&model, &[&one, &other], vec![drawn(), vec![vec![20]]]);
        assert!(found[1].is_empty());
        let sentences: Vec<&[u32]> = found[0].iter().map(|ranked| &ranked.sentence[..]).collect();
        assert_eq!(sentences.len(), 3);
        assert!(!sentences.contains(&&one[..]));
        // Each cosine is that of the two sentences by themselves.
        for ranked in &found[0] {
            let alone = [
                vectors(&model, &[&one]),
                vectors(&model, &[&ranked.sentence]),
            ];
            let cosine = cosine(&alone[0], &alone[1]) as f32;
            assert!((cosine - ranked.cosine).abs() < 1e-5);
        }
        assert!(found[0].is_sorted_by(|one, other| one.cosine >= other.cosine));
        assert!(found[0][0].cosine > found[0][2].cosine + 1e-3);
    }
}
