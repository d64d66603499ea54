//! An index of vectors by their codes: LSH, FlyHash, DenseFly and BioHash.
//!
//! In: vectors. Out: those whose codes have most in common with the query's. Approximate: two vectors may have one code. With a
//! shortlist the vectors are kept as well, and the best candidates are scored again by their cosine.
//!
//! | method | W | code | looked through |
//! |---|---|---|---|
//! | LSH | normal | `k` signs | every code |
//! | FlyHash | sparse, binary | `k` ones of `k / activity` units | an inverted list |
//! | DenseFly | Bernoulli | `k / activity` signs | bins by `k` bits within a radius (the low-dimensional ones of its paper alone) |
//! | BioHash | learnt | `k` ones of `k / activity` units | an inverted list |

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bins::{Bins, nearest_bits};
use super::biohash::{self, Learning};
use super::coder::{CodeRule, Coder, Codes, Preparation};
use super::codes::BitCodes;
use super::competitive::{Begun, Epoch};
use super::exact::{Exact, Similarity};
use super::file::{self, Header, Section, Stored};
use super::inverted::Inverted;
use super::nearest::{Neighbour, keep_nearest};
use super::projection::Projection;
use super::vectors::Vectors;
use super::{Index, Items, Kind, require_k};
use crate::error::{Error, Result};
use crate::random::{Key, Purpose};

/// How W is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Signs of random projections (Charikar 2002).
    Lsh,
    /// Winners of sparse binary projections (Dasgupta, Stevens and Navlakha 2017).
    FlyHash,
    /// Signs of sparse binary projections (Sharma and Navlakha 2018).
    DenseFly,
    /// Winners of learnt projections (Ryali et al. 2020).
    BioHash,
}

impl Method {
    /// As a file and the command name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lsh => "lsh",
            Self::FlyHash => "flyhash",
            Self::DenseFly => "densefly",
            Self::BioHash => "biohash",
        }
    }
}

/// How an index is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HashOptions {
    /// How W is had.
    pub method: Method,
    /// Length of the hash: bits of LSH, ones of a k-hot code, bits of DenseFly's bins.
    pub k: usize,
    /// k over the number of units, above 0, up to 1; LSH has k units.
    pub activity: f64,
    /// Inputs of a unit of FlyHash or DenseFly, as a share of all.
    pub share: f64,
    /// What happens to a vector first.
    pub preparation: Preparation,
    /// How BioHash learns.
    pub learning: Learning,
    /// DenseFly looks into bins that differ in twice as many bits: into all of them from `k / 2` on.
    pub radius: u32,
    /// Candidates that are scored again by their cosine; 0: none, and the vectors are not kept.
    pub shortlist: usize,
}

impl HashOptions {
    /// As published: activity 5 %, a tenth of the inputs, vectors centred for all but BioHash.
    pub fn new(method: Method, k: usize) -> Self {
        Self {
            method,
            k,
            activity: 0.05,
            share: 0.1,
            preparation: Preparation {
                centre: method != Method::BioHash,
                unit_length: method == Method::BioHash,
            },
            learning: Learning::default(),
            radius: 1,
            shortlist: 0,
        }
    }

    /// Rows of W.
    pub fn n_units(&self) -> usize {
        match self.method {
            Method::Lsh => self.k,
            _ => (self.k as f64 / self.activity).round() as usize,
        }
    }

    fn rule(&self) -> CodeRule {
        match self.method {
            Method::Lsh => CodeRule::AboveZero,
            Method::DenseFly => CodeRule::ZeroOrMore,
            Method::FlyHash | Method::BioHash => CodeRule::KHot(self.k),
        }
    }

    /// # Errors
    /// [`Error::Refused`].
    fn check(&self) -> Result<()> {
        let activity_is_share = self.activity > 0.0 && self.activity <= 1.0;
        let mut message = format!(
            "codes of length {} at an activity of {}",
            self.k, self.activity
        );
        if self.k == 0 || !activity_is_share {
            let hint = "a length of 1 or more, an activity above 0 and up to 1";
            return Err(Error::refused(message).with_hint(hint));
        }
        if self.n_units() > usize::from(u16::MAX) {
            message += &format!(" need {} units", self.n_units());
            return Err(Error::refused(message).with_hint("65535 units at most"));
        }
        if self.method == Method::DenseFly && self.k > 64 {
            let message = format!("bins by {} bits", self.k);
            return Err(Error::refused(message).with_hint("a length of 64 at most for DenseFly"));
        }
        Ok(())
    }
}

/// Codes as they are looked through.
#[derive(Debug, Clone)]
enum Store {
    Scanned(BitCodes),
    Binned(BitCodes, Bins),
    Inverted(Inverted),
}

/// Vectors by their codes.
#[derive(Debug, Clone)]
pub struct HashIndex {
    options: HashOptions,
    coder: Coder,
    store: Store,
    /// For the shortlist.
    vectors: Option<Exact>,
}

impl HashIndex {
    /// An index without vectors whose W is drawn, or learnt from `vectors` (BioHash). `advance` hears of every epoch of the
    /// learning and may end it.
    ///
    /// # Errors
    /// [`Error::Refused`] for options that make no codes, and for a rate that is too high; what `advance` returns.
    pub fn train(
        vectors: Vectors,
        options: &HashOptions,
        seed: u64,
        advance: impl FnMut(Epoch) -> Result<()>,
    ) -> Result<Self> {
        Self::train_from(vectors, options, seed, None, advance)
    }

    /// As [`HashIndex::train`], from where an earlier learning from the same input was cut, to the same bytes.
    ///
    /// # Errors
    /// As [`HashIndex::train`]; [`Error::Refused`] for a beginning of another size.
    pub fn train_from(
        vectors: Vectors,
        options: &HashOptions,
        seed: u64,
        begun: Option<Begun>,
        advance: impl FnMut(Epoch) -> Result<()>,
    ) -> Result<Self> {
        options.check()?;
        let key = Key::from_seed(seed).with(Purpose::Index);
        let (width, n_units) = (vectors.width(), options.n_units());
        let projection = match options.method {
            Method::Lsh => Projection::gaussian(width, n_units, key),
            Method::FlyHash => Projection::sparse(width, n_units, options.share, key)?,
            Method::DenseFly => Projection::bernoulli(width, n_units, options.share, key),
            Method::BioHash => {
                if vectors.is_empty() {
                    let refused = Error::refused("there is no vector to learn from");
                    return Err(refused.with_hint("give the vectors that will be searched"));
                }
                let (preparation, learning) = (options.preparation, &options.learning);
                biohash::learn(vectors, preparation, n_units, learning, key, begun, advance)?
            }
        };
        Self::of_projection(projection, options)
    }

    fn of_projection(projection: Projection, options: &HashOptions) -> Result<Self> {
        let (width, n_units) = (projection.width(), projection.n_units());
        let store = match options.method {
            Method::Lsh => Store::Scanned(BitCodes::new(n_units)),
            Method::DenseFly => Store::Binned(BitCodes::new(n_units), Bins::default()),
            Method::FlyHash | Method::BioHash => Store::Inverted(Inverted::new(n_units)),
        };
        let vectors = (options.shortlist > 0).then(|| Exact::new(Similarity::Cosine, width));
        Ok(Self {
            options: *options,
            coder: Coder::new(projection, options.preparation, options.rule())?,
            store,
            vectors,
        })
    }

    /// How it was made.
    pub fn options(&self) -> &HashOptions {
        &self.options
    }

    /// What makes its codes.
    pub fn coder(&self) -> &Coder {
        &self.coder
    }

    /// What was read of a file.
    ///
    /// # Errors
    /// [`Error::Input`] where its parts do not fit each other.
    pub(super) fn restored(mut stored: Stored) -> Result<Self> {
        let options: HashOptions = stored.parameters()?;
        options.check().map_err(|error| stored.broken(error))?;
        let (width, count) = (stored.header.width, stored.header.count);
        let n_weights = options.n_units().saturating_mul(width);
        let weights = stored.f32s("weights", n_weights)?;
        if !weights.iter().all(|weight| weight.is_finite()) {
            return Err(stored.broken("a weight that is no finite number"));
        }
        let projection = Projection::learned(weights, width);
        let mut index =
            Self::of_projection(projection, &options).map_err(|error| stored.broken(error))?;
        let n_units = options.n_units();
        match &mut index.store {
            Store::Scanned(codes) => *codes = read_bits(&mut stored, "words", n_units)?,
            Store::Binned(codes, bins) => {
                *codes = read_bits(&mut stored, "words", n_units)?;
                let keys = read_bits(&mut stored, "bins", options.k)?;
                (0..count).for_each(|number| bins.push(keys.code(number)[0], number as u32));
            }
            Store::Inverted(inverted) => {
                let ids = stored.u32s("ones", Some(count.saturating_mul(options.k)))?;
                let ends: Vec<usize> = (1..=count).map(|number| number * options.k).collect();
                let sets = super::Sets::new(&ids, &ends).map_err(|error| stored.broken(error))?;
                inverted
                    .add(sets.into())
                    .map_err(|error| stored.broken(error))?;
            }
        }
        if let Some(exact) = &mut index.vectors {
            *exact = Exact::read(Similarity::Cosine, &mut stored)?;
        }
        Ok(index)
    }

    /// Neighbours by their codes.
    fn by_codes(&self, queries: Vectors, k: usize) -> Vec<Vec<Neighbour>> {
        match (&self.store, self.coder.codes(queries)) {
            (Store::Inverted(inverted), Codes::KHot(sets)) => inverted.nearest(sets.sets(), k),
            (Store::Scanned(codes), Codes::Bits(queries)) => {
                let queries: Vec<&[u64]> = queries.all().collect();
                let found = queries
                    .par_iter()
                    .map(|code| nearest_bits(codes, code, None, k));
                found.collect()
            }
            (Store::Binned(codes, bins), Codes::Bits(bits)) => {
                let keys = self.coder.pseudo_bits(queries, self.options.k);
                let radius = self.options.radius.saturating_mul(2); // which a damaged file may have at any size
                let numbers = (0..bits.len()).into_par_iter();
                let found = numbers.map(|number| {
                    let near = bins.near(keys.code(number)[0], radius, k);
                    nearest_bits(codes, bits.code(number), Some(&near), k)
                });
                found.collect()
            }
            _ => unreachable!("the store was made for the rule"),
        }
    }
}

/// As many codes as there are items.
fn read_bits(stored: &mut Stored, name: &str, n_bits: usize) -> Result<BitCodes> {
    let n_words = stored.header.count.saturating_mul(n_bits.div_ceil(64));
    let words = stored.u64s(name, n_words)?;
    let codes = BitCodes::of_words(n_bits, words);
    codes.ok_or_else(|| stored.broken("bits beyond the last of a code"))
}

impl Index for HashIndex {
    fn kind(&self) -> Kind {
        Kind::Hash
    }

    fn width(&self) -> usize {
        self.coder.projection().width()
    }

    fn len(&self) -> usize {
        match &self.store {
            Store::Scanned(codes) | Store::Binned(codes, _) => codes.len(),
            Store::Inverted(inverted) => inverted.len(),
        }
    }

    fn similarity(&self) -> Option<Similarity> {
        self.vectors.as_ref().and_then(Index::similarity)
    }

    fn coder(&self) -> Option<&Coder> {
        Some(&self.coder)
    }

    fn set_candidates(&mut self, candidates: usize) {
        if self.vectors.is_some() {
            self.options.shortlist = candidates.max(1);
        }
    }

    fn add(&mut self, items: Items) -> Result<()> {
        let vectors = items.vectors(self.width())?;
        let first = self.len();
        if u32::try_from(first + vectors.len()).is_err() {
            let n = first + vectors.len();
            return Err(Error::refused(format!("{n} vectors: 4294967295 at most")));
        }
        let new = self.coder.codes(vectors);
        if let Some(exact) = &mut self.vectors {
            exact.add(vectors.into())?;
        }
        match (&mut self.store, new) {
            (Store::Inverted(inverted), Codes::KHot(sets)) => inverted.add(sets.sets().into())?,
            (Store::Scanned(codes), Codes::Bits(new)) => codes.append(&new),
            (Store::Binned(codes, bins), Codes::Bits(new)) => {
                let keys = self.coder.pseudo_bits(vectors, self.options.k);
                for (at, key) in keys.all().enumerate() {
                    bins.push(key[0], (first + at) as u32);
                }
                codes.append(&new);
            }
            _ => unreachable!("the store was made for the rule"),
        }
        Ok(())
    }

    fn search(&self, queries: Items, k: usize) -> Result<Vec<Vec<Neighbour>>> {
        require_k(k, self.len())?;
        let queries = queries.vectors(self.width())?;
        let Some(exact) = &self.vectors else {
            return Ok(self.by_codes(queries, k));
        };
        let n_candidates = self.options.shortlist.max(k).min(self.len());
        let mut found = self.by_codes(queries, n_candidates);
        let rows: Vec<&[f32]> = queries.rows().collect();
        found.par_iter_mut().zip(rows).for_each(|(found, query)| {
            exact.score_again(query, found);
            keep_nearest(found, k);
        });
        Ok(found)
    }

    fn save(&self, path: &Path) -> Result<()> {
        let header = Header::new(self, &self.options)?;
        let mut sections = vec![("weights", Section::F32(self.coder.projection().weights()))];
        let mut keys = Vec::new();
        match &self.store {
            Store::Scanned(codes) => sections.push(("words", Section::U64(codes.words()))),
            Store::Binned(codes, bins) => {
                keys = bins.keys_by_number(codes.len());
                sections.push(("words", Section::U64(codes.words())));
            }
            Store::Inverted(inverted) => sections.push(("ones", Section::U32(inverted.ids()))),
        }
        if matches!(self.store, Store::Binned(..)) {
            sections.push(("bins", Section::U64(&keys)));
        }
        if let Some(exact) = &self.vectors {
            sections.push(("vectors", Section::F32(exact.values())));
        }
        file::write(path, header, &sections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    const ALL: [Method; 4] = [
        Method::Lsh,
        Method::FlyHash,
        Method::DenseFly,
        Method::BioHash,
    ];

    fn trained(options: &HashOptions, values: &[f32], width: usize) -> HashIndex {
        let vectors = Vectors::new(values, width).expect("whole rows");
        let index = HashIndex::train(vectors, options, 1, |_| Ok(()));
        let mut index = index.expect("options that make codes");
        index.add(vectors.into()).expect("finite numbers");
        index
    }

    fn options(method: Method) -> HashOptions {
        let mut options = HashOptions::new(method, 8);
        options.learning.epochs = 3;
        options
    }

    #[test]
    fn like_vectors_are_found_and_files_and_threads_change_nothing() {
        let width = 30;
        let values = naive::values(400 * width, 1);
        // Each query is one of the vectors, a little moved.
        let noise = naive::values(20 * width, 2);
        let queries: Vec<f32> = values
            .iter()
            .zip(&noise)
            .map(|(x, e)| x + 0.02 * e)
            .collect();
        let queries = Vectors::new(&queries, width).expect("whole rows");
        let folder = tempfile::tempdir().expect("a folder for the test");
        for method in ALL {
            for shortlist in [0, 30] {
                let options = HashOptions {
                    shortlist,
                    ..options(method)
                };
                let on = |threads: usize| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                    pool.build().expect("threads").install(|| {
                        let index = trained(&options, &values, width);
                        let found = index.search(queries.into(), 10).expect("enough vectors");
                        let path = folder.path().join(format!("index{threads}"));
                        index.save(&path).expect("room");
                        (found, std::fs::read(&path).expect("the file"))
                    })
                };
                let (found, file) = on(1);
                assert!((found.clone(), file) == on(3), "{method:?}");
                let hits = found.iter().enumerate();
                let hits = hits.filter(|(number, found)| found.iter().any(|n| n.number == *number));
                assert!(hits.count() >= 18, "{method:?}");
                if shortlist > 0 {
                    assert!(found.iter().all(|found| found[0].score <= 1.000_001));
                }
                let read = crate::index::open(&folder.path().join("index1")).expect("the index");
                assert_eq!(
                    read.search(queries.into(), 10).expect("enough"),
                    found,
                    "{method:?}"
                );
                assert_eq!(
                    (read.kind(), read.len(), read.width()),
                    (Kind::Hash, 400, width)
                );
            }
        }
    }

    #[test]
    fn added_in_two_batches_is_the_same_as_in_one() {
        let width = 20;
        let values = naive::values(200 * width, 3);
        let queries = Vectors::new(&values[..10 * width], width).expect("whole rows");
        for method in ALL {
            let options = options(method);
            let whole = trained(&options, &values, width);
            let all = Vectors::new(&values, width).expect("whole rows");
            let index = HashIndex::train(all, &options, 1, |_| Ok(()));
            let mut index = index.expect("options that make codes");
            for part in values.chunks(77 * width) {
                let part = Vectors::new(part, width).expect("whole rows");
                index.add(part.into()).expect("finite numbers");
            }
            assert_eq!(
                index.search(queries.into(), 9).expect("enough vectors"),
                whole.search(queries.into(), 9).expect("enough vectors"),
                "{method:?}"
            );
        }
    }

    #[test]
    fn a_radius_beyond_all_bits_looks_into_every_bin() {
        let values = naive::values(50 * 20, 4);
        let vectors = Vectors::new(&values, 20).expect("whole rows");
        let found = [32, u32::MAX].map(|radius| {
            let options = HashOptions {
                radius,
                ..options(Method::DenseFly)
            };
            let index = trained(&options, &values, 20);
            index.search(vectors.into(), 5).expect("enough vectors")
        });
        assert_eq!(found[0], found[1]);
    }

    #[test]
    fn densefly_with_a_radius_of_its_length_looks_at_every_code() {
        let width = 30;
        let values = naive::values(300 * width, 4);
        let queries = Vectors::new(&values[..20 * width], width).expect("whole rows");
        let near = options(Method::DenseFly);
        let all = HashOptions {
            radius: near.k as u32,
            ..near
        };
        let found = |options: &HashOptions| {
            let index = trained(options, &values, width);
            let found = index.search(queries.into(), 10).expect("enough vectors");
            let Store::Binned(codes, _) = &index.store else {
                panic!("bins");
            };
            let by_all = (0..20).map(|number| nearest_bits(codes, codes.code(number), None, 10));
            (found, by_all.collect::<Vec<_>>())
        };
        let (found_by_all, by_all) = found(&all);
        assert_eq!(found_by_all, by_all);
        let (found_in_bins, by_all) = found(&near);
        assert_ne!(found_in_bins, by_all);
    }

    #[test]
    fn codes_that_cannot_be_are_refused() {
        let vectors = Vectors::new(&[1.0; 40], 20).expect("whole rows");
        let refused = |options: HashOptions| {
            let error = HashIndex::train(vectors, &options, 1, |_| Ok(())).expect_err("refused");
            assert!(error.hint().is_some(), "{error}");
            error.to_string()
        };
        let with = HashOptions::new(Method::FlyHash, 0);
        assert_eq!(refused(with), "codes of length 0 at an activity of 0.05");
        let with = HashOptions::new(Method::BioHash, 4000);
        assert!(refused(with).ends_with("need 80000 units"));
        let activity = HashOptions {
            activity: 1.5,
            ..HashOptions::new(Method::FlyHash, 4)
        };
        assert!(refused(activity).contains("activity of 1.5"));
        assert_eq!(
            refused(HashOptions::new(Method::DenseFly, 65)),
            "bins by 65 bits"
        );
        let none = Vectors::new(&[], 20).expect("no row");
        let learn = HashIndex::train(none, &options(Method::BioHash), 1, |_| Ok(()));
        assert!(
            learn
                .expect_err("refused")
                .to_string()
                .contains("no vector to learn from")
        );
    }
}
