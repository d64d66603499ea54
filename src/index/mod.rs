//! Nearest neighbours among many vectors or sets of ids, behind one interface.
//!
//! In: [`Items`], numbered from 0 in the order in which they are added. Out: for each query the `k` nearest of them, nearest
//! first, of equals the lowest number first; one file an index, which [`open`] reads back. Does not know where the vectors come
//! from, and reads no other files.
//!
//! | kind | items | finds |
//! |---|---|---|
//! | [`exact`] | vectors | the nearest ones, by blocked products |
//! | [`inverted`] | sets of ids | those with most ids in common |
//! | [`hash_index`] | vectors | those with like codes: LSH, FlyHash, DenseFly, BioHash |
//! | [`graph`] | vectors | nearly always the nearest ones, among millions |
//!
//! [`bioword`] makes codes of tokens, which an inverted list holds.
//!
//! The same items in the same order give the same neighbours and the same file on any number of threads.

mod bins;
pub mod biohash;
pub mod bioword;
pub mod coder;
pub mod codes;
pub mod competitive;
mod equals;
pub mod exact;
mod file;
pub mod graph;
pub mod hash_index;
pub mod inverted;
mod nearest;
pub mod projection;
mod vectors;

use std::path::Path;

use serde::{Deserialize, Serialize};

use coder::Coder;
pub use exact::{Exact, Similarity};
pub use graph::{Graph, GraphOptions};
pub use hash_index::{HashIndex, HashOptions, Method};
pub use inverted::Inverted;
pub use nearest::Neighbour;
pub use vectors::{Sets, Vectors};

use crate::error::{Error, Result};

/// What an index holds and is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Items<'a> {
    /// Rows of numbers.
    Vectors(Vectors<'a>),
    /// Sets of small whole numbers: tokens, or the ones of a code.
    Sets(Sets<'a>),
}

impl<'a> From<Vectors<'a>> for Items<'a> {
    fn from(vectors: Vectors<'a>) -> Self {
        Self::Vectors(vectors)
    }
}

impl<'a> From<Sets<'a>> for Items<'a> {
    fn from(sets: Sets<'a>) -> Self {
        Self::Sets(sets)
    }
}

impl<'a> Items<'a> {
    /// Number of items.
    pub fn len(&self) -> usize {
        match self {
            Self::Vectors(vectors) => vectors.len(),
            Self::Sets(sets) => sets.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// # Errors
    /// [`Error::Refused`] for vectors.
    fn sets(self) -> Result<Sets<'a>> {
        match self {
            Self::Sets(sets) => Ok(sets),
            Self::Vectors(_) => Err(Error::refused("the index holds sets of ids, not vectors")),
        }
    }

    /// Vectors of `width` numbers.
    ///
    /// # Errors
    /// [`Error::Refused`] for sets and for vectors of another width.
    fn vectors(self, width: usize) -> Result<Vectors<'a>> {
        let Self::Vectors(vectors) = self else {
            return Err(Error::refused("the index holds vectors, not sets of ids"));
        };
        if vectors.width() != width {
            let message = format!(
                "the index holds vectors of {width} numbers, found vectors of {}",
                vectors.width()
            );
            return Err(Error::refused(message)
                .with_hint("make all vectors with one model, or build the index anew"));
        }
        Ok(vectors)
    }
}

/// Kinds of index, as a file names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`Exact`].
    Exact,
    /// [`Inverted`].
    Inverted,
    /// [`HashIndex`].
    Hash,
    /// [`Graph`].
    Graph,
}

/// A growing set of items that finds the nearest ones.
pub trait Index: Send + Sync + std::fmt::Debug {
    /// Which one it is.
    fn kind(&self) -> Kind;

    /// Numbers of a vector; for sets, the bound of their ids.
    fn width(&self) -> usize;

    /// Number of items.
    fn len(&self) -> usize;

    /// Whether nothing was added yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What its scores are; none where it counts what codes or sets have in common.
    fn similarity(&self) -> Option<Similarity>;

    /// What makes the codes that it holds, where it holds codes of vectors.
    fn coder(&self) -> Option<&Coder> {
        None
    }

    /// Looks closer at so many candidates of a query from now on, 1 or more: more find more and take longer. Nothing for an index
    /// that looks at everything, or that keeps codes alone.
    fn set_candidates(&mut self, _candidates: usize) {}

    /// Adds items behind those that are there.
    ///
    /// # Errors
    /// [`Error::Refused`] for items of another kind or width, and for numbers that are not finite. Nothing is added then.
    fn add(&mut self, items: Items) -> Result<()>;

    /// The `k` nearest items of each query, nearest first; of equally near ones the lowest number first.
    ///
    /// # Errors
    /// As [`Index::add`]; [`Error::Refused`] where k is 0 or larger than the number of items.
    fn search(&self, queries: Items, k: usize) -> Result<Vec<Vec<Neighbour>>>;

    /// Writes everything into one file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn save(&self, path: &Path) -> Result<()>;
}

/// Reads an index of any kind that [`Index::save`] has written.
///
/// # Errors
/// [`Error::Input`] for a file that is no index, is cut short, or comes from another version of the tool; [`Error::Io`].
pub fn open(path: &Path) -> Result<Box<dyn Index>> {
    let stored = file::read(path)?;
    Ok(match stored.header.kind {
        Kind::Exact => Box::new(Exact::restored(stored)?),
        Kind::Inverted => Box::new(Inverted::restored(stored)?),
        Kind::Hash => Box::new(HashIndex::restored(stored)?),
        Kind::Graph => Box::new(Graph::restored(stored)?),
    })
}

/// Refuses to look for 0 items, or for more than there are.
fn require_k(k: usize, n: usize) -> Result<()> {
    if k == 0 {
        return Err(Error::refused("the 0 nearest were asked for").with_hint("ask for 1 or more"));
    }
    if k > n {
        let message = format!("the {k} nearest were asked for, the index holds {n}");
        let hint = match n {
            0 => "add something to the index first".to_owned(),
            n => format!("ask for {n} or fewer"),
        };
        return Err(Error::refused(message).with_hint(hint));
    }
    Ok(())
}
