//! Whole solves on a language that the tests make up, and the parts on problems whose answer is known.

use ndarray::Array2;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::{Candidate, Effort, GraphOptions, Side, Solution, faq, self_learning, solve};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::random::Key;

/// Nobody stops the search.
fn never() -> Result<()> {
    Ok(())
}

fn options() -> GraphOptions {
    GraphOptions {
        anchors: Vec::new(),
        key: Key::from_seed(1),
        effort: Effort::Full,
    }
}

fn message(result: Result<Solution>) -> String {
    result.expect_err("refused").to_string()
}

/// A language of `n` types: each type is followed by types of its own choice, frequent ones more often.
struct Language {
    followers: Vec<Vec<u32>>,
}

impl Language {
    fn new(n: u32) -> Self {
        let mut rng = Key::from_seed(7).rng();
        let mut draw = || {
            // Squared: low numbers are frequent.
            let uniform: f64 = rng.random();
            (uniform * uniform * f64::from(n)) as u32
        };
        let followers = (0..=n).map(|_| (0..40).map(|_| draw()).collect());
        Self {
            followers: followers.collect(),
        }
    }

    /// Sentences of the language; type `t` is written as `names[t]`.
    fn side(&self, sentences: u32, key: Key, names: &[u32]) -> Side {
        let mut side = Side::new();
        let mut rng = key.rng();
        let boundary = self.followers.len() - 1;
        for _ in 0..sentences {
            let mut last = boundary;
            let length = rng.random_range(4..12);
            let sentence: Vec<u32> = (0..length)
                .map(|_| {
                    let followers = &self.followers[last];
                    // The first followers are likelier.
                    let uniform: f64 = rng.random();
                    last =
                        followers[(uniform * uniform * followers.len() as f64) as usize] as usize;
                    names[last]
                })
                .collect();
            side.add(&sentence, 1.0);
        }
        side
    }
}

/// Cipher and plaintext of one language, and the plaintext type of each cipher type.
fn puzzle(n: u32, sentences: u32) -> (Side, Side, Vec<u32>) {
    let language = Language::new(n);
    let plain: Vec<u32> = (0..n).collect();
    let mut names = plain.clone();
    names.shuffle(&mut Key::from_seed(3).rng());
    let mut truth = vec![0; n as usize];
    for (t, &name) in (0..).zip(&names) {
        truth[name as usize] = t;
    }
    let cipher = language.side(sentences, Key::from_seed(11), &names);
    (
        cipher,
        language.side(sentences, Key::from_seed(12), &plain),
        truth,
    )
}

#[test]
fn a_small_language_is_recovered_whole() {
    let (cipher, plain, truth) = puzzle(300, 40_000);
    let solution = solve(&cipher, &plain, &options(), &Progress::silent(), &never).expect("solved");
    let found: Vec<u32> = solution
        .matches
        .iter()
        .map(|m| m.candidates[0].plain)
        .collect();
    assert_eq!(found, truth);
    let quality = &solution.quality;
    assert_eq!(quality.mutual_best, 300);
    assert!(quality.likelihood > quality.likelihood_rank, "{quality:?}");
    assert!(
        quality.likelihood > quality.likelihood_shuffled,
        "{quality:?}"
    );
    assert_eq!(quality.restarts, 2);
    assert!(solution.matches.iter().all(|m| m.confidence > 0.5));
}

#[test]
fn what_has_no_answer_is_not_stable_however_few_types_there_are() {
    for n in [60, 300] {
        let (_, plain, _) = puzzle(n, 4_000);
        let mut cipher = Side::new();
        let mut rng = Key::from_seed(13).rng();
        for _ in 0..4_000 {
            let sentence: Vec<u32> = (0..8).map(|_| rng.random_range(0..n)).collect();
            cipher.add(&sentence, 1.0);
        }
        let solution =
            solve(&cipher, &plain, &options(), &Progress::silent(), &never).expect("solved");
        assert_eq!(solution.quality.restarts, 2);
        assert!(
            solution.quality.stability < 0.5,
            "{n}: {:?}",
            solution.quality
        );
    }
}

#[test]
fn any_number_of_threads_finds_the_same() {
    let (cipher, plain, _) = puzzle(120, 4_000);
    let options = GraphOptions {
        effort: Effort::Trial,
        ..options()
    };
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads").install(|| {
            solve(&cipher, &plain, &options, &Progress::silent(), &never).expect("solved")
        })
    };
    let first = on(1);
    for threads in 2..=4 {
        assert_eq!(on(threads), first, "{threads} threads");
    }
}

#[test]
fn known_pairs_are_kept_even_where_they_are_wrong() {
    let (cipher, plain, truth) = puzzle(120, 4_000);
    let wrong = (5, truth[6]);
    let options = GraphOptions {
        anchors: vec![wrong, (9, truth[9])],
        effort: Effort::Trial,
        ..options()
    };
    let solution = solve(&cipher, &plain, &options, &Progress::silent(), &never).expect("solved");
    for (cipher, plain) in [wrong, (9, truth[9])] {
        let found = &solution.matches[cipher as usize];
        assert_eq!(found.candidates, [Candidate { plain, weight: 1.0 }]);
        assert_eq!(found.confidence, 1.0);
    }
    let others = solution.matches.iter().enumerate().filter(|(c, _)| *c != 5);
    let firsts: Vec<u32> = others
        .filter_map(|(_, m)| Some(m.candidates.first()?.plain))
        .collect();
    assert!(
        !firsts.contains(&truth[6]),
        "a known plaintext type was given twice"
    );
}

#[test]
fn types_beyond_the_plaintext_are_left_over() {
    let (cipher, _, _) = puzzle(120, 4_000);
    let (_, plain, _) = puzzle(60, 4_000);
    let options = GraphOptions {
        effort: Effort::Trial,
        ..options()
    };
    let solution = solve(&cipher, &plain, &options, &Progress::silent(), &never).expect("solved");
    let mut firsts: Vec<u32> = solution
        .matches
        .iter()
        .filter_map(|m| Some(m.candidates.first()?.plain))
        .collect();
    let given = firsts.len();
    assert!((30..=60).contains(&given), "{given}");
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), given, "a plaintext type was given twice");
}

#[test]
fn a_side_without_sentences_is_refused() {
    let (full, _, _) = puzzle(20, 100);
    let progress = Progress::silent();
    assert_eq!(
        message(solve(&Side::new(), &full, &options(), &progress, &never)),
        "the cipher side has no sentences to learn from"
    );
    let mut empty = Side::new();
    empty.add(&[], 1.0);
    assert_eq!(
        message(solve(&full, &empty, &options(), &progress, &never)),
        "the plaintext side has no sentences to learn from"
    );
}

#[test]
fn anchors_that_contradict_each_other_are_refused() {
    let (full, _, _) = puzzle(20, 100);
    let refused = |anchors: &[(u32, u32)]| {
        let options = GraphOptions {
            anchors: anchors.to_vec(),
            ..options()
        };
        message(solve(&full, &full, &options, &Progress::silent(), &never))
    };
    assert_eq!(
        refused(&[(3, 4), (5, 6), (3, 7)]),
        "anchors contradict each other: cipher type 3 is plaintext type 4 and 7"
    );
    assert_eq!(
        refused(&[(3, 4), (3, 4), (5, 4)]),
        "anchors contradict each other: plaintext type 4 is cipher type 3 and 5"
    );
}

#[test]
fn a_search_ends_where_it_is_asked_to() {
    let (cipher, plain, _) = puzzle(20, 100);
    let stop = || Err(Error::Interrupted);
    let result = solve(&cipher, &plain, &options(), &Progress::silent(), &stop);
    assert!(matches!(result, Err(Error::Interrupted)));
}

#[test]
fn faq_recovers_a_permuted_random_graph() {
    let n = 200;
    let mut rng = Key::from_seed(2).rng();
    let a = Array2::from_shape_simple_fn((n, n), || rng.random::<f32>() - 0.5);
    let mut key: Vec<usize> = (0..n).collect();
    key.shuffle(&mut rng);
    // b is a, with type i named key[i].
    let mut b = Array2::zeros((n, n));
    for i in 0..n {
        for j in 0..n {
            b[(key[i], key[j])] = a[(i, j)];
        }
    }
    let problem = faq::Problem {
        graphs: vec![(a, b)],
        affinity: Array2::zeros((n, n)),
    };
    let flat = Array2::from_elem((n, n), 1.0 / n as f32);
    let found = faq::solve(&problem, flat, (100, 1e-6)).expect("solved");
    assert_eq!(found, key);
}

#[test]
fn csls_by_hand() {
    // Means of the two nearest. Rows: (.9+.5)/2 = .7, (.8+.4)/2 = .6, (.6+.3)/2 = .45.
    // Columns: (.9+.8)/2 = .85, (.6+.5)/2 = .55, (.4+.3)/2 = .35.
    let mut scores = ndarray::array![[0.9, 0.5, 0.1], [0.8, 0.2, 0.4], [0.0, 0.6, 0.3f32]];
    self_learning::csls(&mut scores, 2);
    // 2 s - row - column, by hand.
    let expected = [
        [0.25, -0.25, -0.85],
        [0.15, -0.75, -0.15],
        [-1.3, 0.2, -0.2f32],
    ];
    for (found, expected) in scores.rows().into_iter().zip(expected) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{scores}");
        }
    }
}
