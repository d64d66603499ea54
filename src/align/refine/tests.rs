//! Reassignment by hand, and which places are hidden.

use super::*;
use crate::data::{CipherId, Target};
use crate::vocab::mapping::MappingRow;

fn tokens(names: &[&str]) -> Tokens {
    let vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let all = vocab.iter().chain(names).map(|name| (*name).to_owned());
    let plain = PlainVocab::from_tokens(all.collect(), std::path::Path::new("test"));
    let counts = names.iter().map(|name| ((*name).to_owned(), 10));
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
