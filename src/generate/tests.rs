//! Tests of the loop: against whole rows computed anew at each token, and what holds of any draw.

use super::*;
use crate::checkpoint::{BertConfig, Heads};
use crate::data::reserved::FIRST_CIPHER;
use crate::kernels::path::{Path, Precision};
use crate::model::decode::naive::Recomputed;

const GREEDY: Sampling = Sampling {
    top_k: Some(1),
    top_p: 1.0,
    temperature: 1.0,
};
const NUCLEUS: Sampling = Sampling {
    top_k: None,
    top_p: 0.95,
    temperature: 1.0,
};
const SOURCES: [&[u32]; 4] = [&[9, 8, 7], &[30], &[31, 32, 33, 34, 35, 36], &[30, 31]];

fn model() -> Bert {
    let config = BertConfig {
        vocab_size: 50,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 64,
        max_position_embeddings: 24,
        initializer_range: 0.25,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        ..BertConfig::default()
    };
    let heads = Heads {
        pooler: true,
        ..Heads::MLM
    };
    let path = Path::resolve(Precision::F32);
    Bert::initialise(config, heads, path, Key::from_seed(4)).expect("sizes above 0")
}

fn options(samples: usize, sampling: Sampling) -> GenerateOptions {
    GenerateOptions {
        samples,
        max_tokens: 12,
        sampling,
        tokens: FIRST_CIPHER..48,
    }
}

fn numbered<'a>(sources: &[&'a [u32]]) -> Vec<Source<'a>> {
    let numbered = (0..).zip(sources);
    numbered
        .map(|(number, tokens)| Source { number, tokens })
        .collect()
}

fn generated(model: &Bert, sources: &[&[u32]], options: &GenerateOptions) -> Vec<Vec<Vec<u32>>> {
    let sources = numbered(sources);
    let key = Key::from_seed(5);
    generate(model, &sources, options, key, &mut || Ok(())).expect("nobody stops it")
}

#[test]
fn kept_keys_and_values_change_no_token() {
    let model = model();
    for sampling in [GREEDY, NUCLEUS] {
        let options = options(20, sampling);
        let sources = numbered(&SOURCES);
        let (mut whole, states) = Recomputed::begin(&model, &read(&sources));
        let mut next = |parents: &[u32], tokens: &[u32]| Ok(whole.step(parents, tokens));
        let key = Key::from_seed(5);
        let expected = write(
            &model,
            &sources,
            &options,
            key,
            (0..options.samples, states),
            &mut next,
        );
        let expected = expected.expect("nobody stops it");
        assert_eq!(generated(&model, &SOURCES, &options), expected);
        let distinct: std::collections::BTreeSet<_> = expected.iter().flatten().collect();
        assert!(distinct.len() > 2, "{distinct:?}");
    }
}

#[test]
fn top_k_of_one_writes_the_likeliest_token_each_time() {
    let model = model();
    let found = generated(&model, &SOURCES, &options(3, GREEDY));
    for (source, samples) in SOURCES.iter().zip(found) {
        assert!(samples[0] == samples[1] && samples[1] == samples[2]);
        let begun = [&[CLS], *source, &[SEP]].concat();
        let (mut decoder, mut states) = Decoder::begin(&model, &[begun]);
        for (at, &token) in samples[0].iter().enumerate() {
            let best = model.map_mlm_logits(&states, |_, logits| {
                let allowed = (FIRST_CIPHER..48).chain((at > 0).then_some(SEP));
                let better = |one: &u32, other: &u32| {
                    logits[*one as usize].total_cmp(&logits[*other as usize])
                };
                allowed.max_by(better).expect("a token")
            });
            assert_eq!(best, [token]);
            states = decoder.step(&[0], &[token]);
        }
    }
}

#[test]
fn further_sources_and_samples_change_no_sentence_of_the_others() {
    let model = model();
    let all = generated(&model, &SOURCES, &options(20, NUCLEUS));
    let few = generated(&model, &SOURCES[..2], &options(8, NUCLEUS));
    for (all, few) in all.iter().zip(&few) {
        assert_eq!(all[..8], few[..]);
    }
    assert_ne!(all[0], all[1]);
}

#[test]
fn as_many_sentences_as_asked_for_of_tokens_of_sentences_alone() {
    let model = model();
    for max_tokens in [1, 3, 12, 1000] {
        let options = GenerateOptions {
            max_tokens,
            ..options(30, NUCLEUS)
        };
        let found = generated(&model, &SOURCES, &options);
        for (source, samples) in SOURCES.iter().zip(&found) {
            assert_eq!(samples.len(), 30);
            let room = 24 - 2 - source.len(); // of 24 positions
            for sentence in samples {
                assert!((1..=max_tokens.min(room)).contains(&sentence.len()));
                let is_text = |token: &u32| (FIRST_CIPHER..48).contains(token);
                assert!(sentence.iter().all(is_text), "{sentence:?}");
            }
        }
    }
}

#[test]
fn sentences_that_have_ended_leave_the_batch() {
    let model = model();
    let (options, sources) = (options(40, NUCLEUS), numbered(&SOURCES));
    let (mut decoder, states) = Decoder::begin(&model, &read(&sources));
    let mut sizes = Vec::new();
    let mut next = |parents: &[u32], tokens: &[u32]| {
        assert!(!tokens.contains(&SEP));
        sizes.push(tokens.len());
        Ok(decoder.step(parents, tokens))
    };
    let key = Key::from_seed(5);
    let found = write(
        &model,
        &sources,
        &options,
        key,
        (0..options.samples, states),
        &mut next,
    );
    let found = found.expect("nobody stops it");
    for (step, &size) in sizes.iter().enumerate() {
        // Written behind: all that have so many tokens, but those that are full.
        let longer = found
            .iter()
            .flatten()
            .filter(|sentence| sentence.len() > step);
        let full = found
            .iter()
            .flatten()
            .filter(|sentence| sentence.len() == step + 1);
        let full = if step + 1 == 12 { full.count() } else { 0 };
        assert_eq!(size, longer.count() - full);
    }
    assert!(sizes[sizes.len() - 1] < sizes[0], "{sizes:?}");
}

/// So that the keys and values of many samples do not fill the memory.
#[test]
fn many_samples_of_a_source_are_written_block_after_block() {
    let model = model();
    let sources = numbered(&SOURCES[..1]);
    let written = |samples: usize| {
        let mut n_steps = 0;
        let mut tick = || {
            n_steps += 1;
            Ok(())
        };
        let options = options(samples, NUCLEUS);
        let found = generate(&model, &sources, &options, Key::from_seed(5), &mut tick);
        let found = found.expect("nobody stops it");
        assert_eq!(found[0].len(), samples);
        (found[0].clone(), n_steps)
    };
    let (block, steps_of_block) = written(AT_ONCE);
    let (all, n_steps) = written(AT_ONCE + 40);
    assert!(n_steps > steps_of_block, "{n_steps}");
    assert_eq!(all[..AT_ONCE], block);
    // The draws go on: the second block does not begin with those of the first.
    assert_ne!(all[AT_ONCE..], block[..40]);
}

#[test]
fn the_work_stops_when_it_is_asked_to() {
    let model = model();
    let sources = numbered(&SOURCES);
    let mut steps = 0;
    let mut tick = || {
        steps += 1;
        match steps {
            3 => Err(crate::error::Error::Interrupted),
            _ => Ok(()),
        }
    };
    let key = Key::from_seed(5);
    let stopped = generate(&model, &sources, &options(20, NUCLEUS), key, &mut tick);
    assert!(matches!(stopped, Err(crate::error::Error::Interrupted)));
    assert_eq!(steps, 3);
}
