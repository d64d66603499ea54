//! Reassignment by hand, and which places are hidden.

use super::*;
use crate::data::{CipherId, Target};
use crate::vocab::mapping::MappingRow;

/// Occurrences of each token in the plaintext.
const N_PLAIN: u64 = 10;

fn tokens(names: &[&str]) -> Tokens {
    let vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let all = vocab.iter().chain(names).map(|name| (*name).to_owned());
    let plain = PlainVocab::from_tokens(all.collect(), std::path::Path::new("test"));
    let counts = names.iter().map(|name| ((*name).to_owned(), N_PLAIN));
    Tokens::of(&counts.collect(), &plain.expect("a vocabulary"))
}

fn row(id: u32, token: Option<(&str, &[u32])>) -> MappingRow {
    let candidate = token.map(|(token, rows)| Candidate {
        token: token.to_owned(),
        rows: rows.iter().map(|&row| PlainId(row)).collect(),
        weight: 0.5,
    });
    MappingRow {
        cipher_id: CipherId(id),
        count: 10,
        plain: None,
        plain_count: 0,
        method: "graph",
        found: Some(Found {
            candidates: candidate.into_iter().collect(),
            margin: 0.1,
            mutual: true,
            confidence: 0.5,
        }),
    }
}

/// Of ids that have all been read.
fn all_read(scores: Array2<f32>) -> Read {
    Read {
        has_places: vec![true; scores.nrows()],
        scores,
    }
}

fn mapping(rows: Vec<MappingRow>) -> Mapping {
    Mapping { rows, wrapped: 0 }
}

#[test]
fn what_the_network_is_sure_of_changes_the_mapping() {
    let tokens = tokens(&["a", "b", "c"]);
    // a and b are confused; the network puts 10 nats on the truth. Nobody knows of the third id so far.
    let mut mapping = mapping(vec![
        row(0, Some(("b", &[6]))),
        row(1, Some(("a", &[5]))),
        row(2, None),
    ]);
    let scores = ndarray::array![[-1., -11., -11.], [-11., -1., -11.], [-11., -11., -1.0f32]];
    reassign(&mut mapping, &tokens, all_read(scores));
    let found: Vec<_> = firsts(&mapping).into_iter().flatten().collect();
    assert_eq!(found, ["a", "b", "c"]);
    for row in &mapping.rows {
        assert_eq!(row.plain_count, N_PLAIN, "of the token that it has now");
        let found = row.found.as_ref().expect("found");
        let whole: f32 = found
            .candidates
            .iter()
            .map(|candidate| candidate.weight)
            .sum();
        assert!((0.9..=1.0001).contains(&whole), "{found:?}");
        assert!(found.confidence > 0.5 && found.margin > 0.0, "{found:?}");
    }
}

#[test]
fn what_it_is_not_sure_of_stays() {
    let tokens = tokens(&["a", "b"]);
    let before = mapping(vec![row(0, Some(("b", &[6]))), row(1, Some(("a", &[5])))]);
    let mut after = before.clone();
    // One nat for the other way round is less than what the mapping is worth.
    reassign(
        &mut after,
        &tokens,
        all_read(ndarray::array![[-1., -2.], [-2., -1.0f32]]),
    );
    assert_eq!(firsts(&after), firsts(&before));
}

/// A row of this count and confidence.
fn of(count: u64, confidence: f32, mut row: MappingRow) -> MappingRow {
    row.count = count;
    row.found.as_mut().expect("found").confidence = confidence;
    row
}

/// The first two ids are rare and frequent, the third is sure. Columns add up to 0, so that no token is expected everywhere.
#[test]
fn a_token_is_given_away_only_by_an_id_that_moves() {
    let tokens = tokens(&["a", "b", "c", "d"]);
    let before = mapping(vec![
        row(0, Some(("a", &[5]))),
        of(10_000, 0.5, row(1, Some(("b", &[6])))),
        of(10, SURE, row(2, Some(("c", &[7])))),
    ]);
    let after = |scores: Array2<f32>| {
        let mut after = before.clone();
        reassign(&mut after, &tokens, all_read(scores));
        after
    };
    // The second id wants a. The first one is expected nowhere, or where the sure one stays.
    for scores in [
        ndarray::array![[0., 0., 0., 0.], [6., 0., 0., 0.], [-6., 0., 0., 0.0f32]],
        ndarray::array![[0., 0., 8., 0.], [6., 0., 0., 0.], [-6., 0., -8., 0.0f32]],
    ] {
        assert_eq!(after(scores).rows, before.rows);
    }
    // It is sure of a token that nobody has.
    let moved = after(ndarray::array![
        [0., 0., 0., 8.],
        [6., 0., 0., 0.],
        [-6., 0., 0., -8.0f32]
    ]);
    let found: Vec<_> = firsts(&moved).into_iter().flatten().collect();
    assert_eq!(found, ["d", "a", "c"]);
}

#[test]
fn an_id_without_a_token_takes_the_best_that_nobody_has() {
    let tokens = tokens(&["a", "b", "c", "d"]);
    let before = mapping(vec![
        row(0, Some(("a", &[5]))),
        of(10_000, 0.0, row(1, None)),
        of(10, SURE, row(2, Some(("c", &[7])))),
    ]);
    let mut after = before.clone();
    let scores = ndarray::array![[0., 0., 0., 0.], [1., 0.5, 0., 0.], [-1., -0.5, 0., 0.0f32]];
    reassign(&mut after, &tokens, all_read(scores));
    assert_eq!(
        (&after.rows[0], &after.rows[2]),
        (&before.rows[0], &before.rows[2])
    );
    let found = after.rows[1].found.as_ref().expect("found");
    assert_eq!(found.candidates[0].token, "b");
    assert!(found.confidence < ACCEPTED, "{found:?}");
}

/// On mappings, counts and scores by chance.
#[test]
fn no_token_is_given_twice_and_none_is_lost() {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let tokens = tokens(&NAMES);
    let mut n_moved = 0;
    for seed in 0..300 {
        let key = Key::from_seed(seed);
        // A permutation of the tokens, of which some ids have none.
        let mut order: Vec<u32> = (0..8).collect();
        order.sort_by_key(|&token| key.at(0).bits(u64::from(token)));
        let rows = (0..).zip(&order).map(|(id, &token)| {
            let draw = |number: u64| key.at(1 + u64::from(id)).uniform(number);
            let rows = [token + 5];
            let token = (NAMES[token as usize], &rows[..]);
            let count = (10.0 * (8.0 * draw(0)).exp()) as u64;
            of(
                count,
                draw(1) as f32,
                row(id, (draw(2) < 0.8).then_some(token)),
            )
        });
        let before = mapping(rows.collect());
        let scores = Array2::from_shape_fn((8, 8), |(id, token)| {
            6.0 * key.at(9 + id as u64).normal(token as u64) as f32
        });
        let read = Read {
            scores,
            has_places: (0..8).map(|id| key.at(17).uniform(id) < 0.9).collect(),
        };
        let has_places = read.has_places.clone();
        let mut after = before.clone();
        reassign(&mut after, &tokens, read);
        let mut given: Vec<_> = firsts(&after).into_iter().flatten().collect();
        given.sort_unstable();
        assert!(
            given.windows(2).all(|pair| pair[0] != pair[1]),
            "{seed}: {given:?}"
        );
        for ((before, after), has_places) in before.rows.iter().zip(&after.rows).zip(has_places) {
            let (old, new) = (before.found.as_ref(), after.found.as_ref());
            let (old, new) = (old.expect("found"), new.expect("found"));
            assert!(
                new.candidates.len() >= old.candidates.len(),
                "{seed}: {old:?}"
            );
            let may_move = has_places && (old.candidates.is_empty() || old.confidence < SURE);
            assert!(may_move || old == new, "{seed}: {old:?} {new:?}");
            n_moved += usize::from(old != new && !old.candidates.is_empty());
        }
    }
    assert!(n_moved > 100, "{n_moved}");
}

#[test]
fn a_sure_id_keeps_its_token_whatever_the_network_says() {
    let tokens = tokens(&["a", "b"]);
    let mut sure = row(0, Some(("b", &[6])));
    sure.found.as_mut().expect("found").confidence = SURE;
    let before = mapping(vec![sure, row(1, Some(("a", &[5])))]);
    let mut after = before.clone();
    let scores = ndarray::array![[-1., -21.], [-21., -1.0f32]];
    reassign(&mut after, &tokens, all_read(scores));
    assert_eq!(after.rows, before.rows);
}

#[test]
fn the_network_must_be_surer_than_not() {
    let tokens = tokens(&["a", "b", "c"]);
    // Of the first id it knows only that it is not what the mapping says.
    let before = mapping(vec![
        row(0, Some(("c", &[7]))),
        row(1, Some(("a", &[5]))),
        row(2, Some(("b", &[6]))),
    ]);
    let mut after = before.clone();
    let scores = ndarray::array![[-1., -1., -21.], [-1., -7., -11.], [-7., -1., -11.0f32]];
    reassign(&mut after, &tokens, all_read(scores));
    assert_eq!(firsts(&after), firsts(&before));
}

#[test]
fn an_id_that_was_not_read_keeps_what_it_has() {
    let tokens = tokens(&["a", "b", "c"]);
    // Of what is read a is expected everywhere; that says nothing of the third id, nor of the mean.
    let before = mapping(vec![
        row(0, Some(("a", &[5]))),
        row(1, Some(("b", &[6]))),
        row(2, None),
    ]);
    let scores = ndarray::array![[-1., -9., -30.], [-8., -2., -30.], [0., 0., 0.0f32]];
    let read = Read {
        scores,
        has_places: vec![true, true, false],
    };
    let mut after = before.clone();
    reassign(&mut after, &tokens, read);
    assert_eq!(after.rows, before.rows);
}

#[test]
fn a_token_expected_everywhere_is_no_news() {
    let tokens = tokens(&["a", "b"]);
    let mut mapping = mapping(vec![row(0, None), row(1, None)]);
    // Both ids read like a, the first one more so than the second.
    reassign(
        &mut mapping,
        &tokens,
        all_read(ndarray::array![[-1., -9.], [-3., -4.0f32]]),
    );
    let found: Vec<_> = firsts(&mapping).into_iter().flatten().collect();
    assert_eq!(found, ["a", "b"]);
}

#[test]
fn words_of_several_rows_are_left_alone_and_hold_no_token() {
    let tokens = tokens(&["a", "b"]);
    let word = row(0, Some(("ab", &[5, 6])));
    let mut mapping = mapping(vec![word.clone(), row(1, Some(("b", &[6])))]);
    reassign(
        &mut mapping,
        &tokens,
        all_read(ndarray::array![[-1., -20.], [-1., -20.0f32]]),
    );
    assert_eq!(mapping.rows[0], word);
    assert_eq!(firsts(&mapping)[1].as_deref(), Some("b"));
}

#[test]
fn places_are_few_and_those_of_the_id() {
    let example = |a: &[u32], b: Option<&[u32]>| EncodedExample {
        a: a.to_vec(),
        b: b.map(<[u32]>::to_vec),
        target: Target::Unknown,
        text_numbers: None,
    };
    let first = FIRST_CIPHER;
    let mut examples = vec![example(&[first, first + 1], Some(&[first, 1])); 20];
    examples.push(example(&[1, first + 3], None));
    let examples: Vec<&EncodedExample> = examples.iter().collect();
    let places = HiddenToken::of_ids(&examples, 4, Key::from_seed(1));
    let n = |id: u32| places.iter().filter(|place| place.id == id).count();
    assert_eq!((n(0), n(1), n(3)), (PLACES, PLACES, 1));
    for place in &places {
        let mut tokens = examples[place.example as usize].tokens();
        assert_eq!(tokens.nth(place.token as usize), Some(first + place.id));
    }
    assert!(places.is_sorted_by_key(|place| place.id));
    assert_ne!(places, HiddenToken::of_ids(&examples, 4, Key::from_seed(2)));
}
