//! `cipherpet hash`: short binary codes of vectors, or of the tokens of a cipher.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{ArgGroup, Args, ValueEnum};

use super::numbers::{above_zero, at_least_one};
use super::run::minutes;
use super::{Reading, Session, output};
use crate::error::{Error, Result};
use crate::index::biohash::Learning;
use crate::index::bioword::BioWordOptions;
use crate::index::competitive::WinnerRule;
use crate::index::{HashOptions, Method};
use crate::workbench::hash as job;
use crate::workbench::run_folder::resume::minutes_to_duration;

/// Arguments of `hash`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("items").required(true).args(["vectors", "pairs"])))]
#[command(after_help = "\
Examples:
  cipherpet hash --vectors vectors.npy --k 16 --out codes.npy --index vectors.index
  cipherpet hash --vectors vectors.npy --method lsh --k 64 --out bits.npy
  cipherpet hash --pairs train.tsv test.tsv --out tokens.tsv --neighbours nearest.tsv

Methods:
  lsh       k bits: the signs of random projections
  flyhash   k ones of k / activity units: winners of sparse random projections
  densefly  k / activity bits: the signs of sparse random projections, in bins by k bits
  biohash   k ones of k / activity units: winners of projections that learnt the vectors [default]
  bioword   of tokens: k ones of --units units that learnt what stands around them

Codes of vectors are a .npy matrix, a row a vector: the numbers of the ones (flyhash, biohash), or
all bits (lsh, densefly). Codes of tokens are a table of token, count and ones, most frequent first.
`cipherpet search --index` takes an index of vectors of texts: it finds the texts whose codes have
most bits in common, or with --shortlist, of so many candidates, those with the largest cosine. An
index of tokens is for programs (cipherpet::index::open); --neighbours writes the nearest tokens of
each. Like vectors have like codes: of two codes with k ones count those in common. Codes of two
runs of biohash or bioword have nothing to do with each other. Learning that was stopped goes on
from FILE.checkpoint beside --out, to the same bytes as if it had not been.")]
pub struct HashArguments {
    /// Vectors, as a .npy matrix of float32 or float64
    #[arg(long, value_name = "NPY")]
    vectors: Option<PathBuf>,
    /// Files of texts or pairs of texts, in any number
    #[arg(long, num_args = 1.., value_name = "FILES")]
    pairs: Vec<PathBuf>,
    /// How codes are made [default: biohash; of tokens bioword]
    #[arg(long, value_enum, hide_possible_values = true)]
    method: Option<MethodName>,
    /// Length of a code [default: 16; of tokens 50]
    #[arg(long, value_name = "N")]
    k: Option<usize>,
    /// Ones of a code as a share of its units, of flyhash, densefly and biohash: above 0, up to 1 [default: 0.05]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    activity: Option<f64>,
    /// Units, for bioword [default: 400]
    #[arg(long, value_name = "N")]
    units: Option<usize>,
    /// Tokens of a window, for bioword: odd [default: 5]
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Leave rarer tokens out, for bioword [default: 1]
    #[arg(long, value_name = "N")]
    min_count: Option<u64>,
    /// Passes over the data [default: biohash 100, bioword 15]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Largest step of a weight in the first batches: above 0 [default: biohash 0.02, bioword 1]
    #[arg(long, value_name = "RATE", value_parser = above_zero, allow_hyphen_values = true)]
    rate: Option<f64>,
    /// How biohash and bioword find the unit that learns: by raw weights, or by weights of length 1 [default: raw]
    #[arg(long, value_enum)]
    winner: Option<Winner>,
    /// Score so many candidates of a search again by cosine; the index of vectors keeps them then [default: 0]
    #[arg(long, value_name = "N")]
    shortlist: Option<usize>,
    /// Everything random follows from it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    reading: Reading,
    /// Where to write the codes
    #[arg(long, value_name = "FILE", value_parser = output::file)]
    out: PathBuf,
    /// Where to write an index of them
    #[arg(long, value_name = "FILE", value_parser = output::file)]
    index: Option<PathBuf>,
    /// Where to write the tokens that have most ones in common with each, for bioword
    #[arg(long, value_name = "TSV", value_parser = output::file)]
    neighbours: Option<PathBuf>,
    /// How many of them [default: 10]
    #[arg(long, value_name = "N", requires = "neighbours", value_parser = at_least_one)]
    nearest: Option<usize>,
    /// Stop learning after about so many minutes, save, and exit with 75: the same command goes on [default: no limit]
    #[arg(long, value_name = "M", value_parser = minutes, allow_negative_numbers = true)]
    max_minutes: Option<f64>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum MethodName {
    Lsh,
    #[value(name = "flyhash")]
    FlyHash,
    #[value(name = "densefly")]
    DenseFly,
    #[value(name = "biohash")]
    BioHash,
    #[value(name = "bioword")]
    BioWord,
}

impl std::fmt::Display for MethodName {
    /// As it is written on the command line.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", PossibleValue::get_name))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Winner {
    Raw,
    Normalised,
}

impl HashArguments {
    /// The method of vectors, or none for tokens.
    fn vector_method(&self) -> Result<Option<Method>> {
        let method = match (&self.vectors, self.method) {
            (Some(_), None | Some(MethodName::BioHash)) => Some(Method::BioHash),
            (Some(_), Some(MethodName::Lsh)) => Some(Method::Lsh),
            (Some(_), Some(MethodName::FlyHash)) => Some(Method::FlyHash),
            (Some(_), Some(MethodName::DenseFly)) => Some(Method::DenseFly),
            (None, None | Some(MethodName::BioWord)) => None,
            (Some(_), Some(MethodName::BioWord)) => {
                let refused =
                    Error::refused("--method bioword makes codes of tokens, not of vectors");
                return Err(refused.with_hint("name files of texts by --pairs"));
            }
            (None, Some(_)) => {
                let refused = Error::refused("of the methods only bioword makes codes of tokens");
                return Err(refused.with_hint("leave --method away, or name vectors by --vectors"));
            }
        };
        self.require_used()?;
        Ok(method)
    }

    /// Refuses a setting that the method does not look at.
    fn require_used(&self) -> Result<()> {
        use MethodName::{BioHash, BioWord, DenseFly, FlyHash, Lsh};
        let method = self.method.unwrap_or(match self.vectors {
            Some(_) => BioHash,
            None => BioWord,
        });
        let learn: &[MethodName] = &[BioHash, BioWord];
        let given: [(&str, bool, &[MethodName]); 10] = [
            (
                "--activity",
                self.activity.is_some(),
                &[FlyHash, DenseFly, BioHash],
            ),
            ("--units", self.units.is_some(), &[BioWord]),
            ("--window", self.window.is_some(), &[BioWord]),
            ("--min-count", self.min_count.is_some(), &[BioWord]),
            ("--epochs", self.epochs.is_some(), learn),
            ("--rate", self.rate.is_some(), learn),
            ("--winner", self.winner.is_some(), learn),
            (
                "--shortlist",
                self.shortlist.is_some(),
                &[Lsh, FlyHash, DenseFly, BioHash],
            ),
            ("--neighbours", self.neighbours.is_some(), &[BioWord]),
            ("--max-minutes", self.max_minutes.is_some(), learn),
        ];
        let unused = given
            .iter()
            .find(|(_, is_given, of)| *is_given && !of.contains(&method));
        match unused {
            Some((name, _, of)) => {
                let of: Vec<String> = of.iter().map(MethodName::to_string).collect();
                let refused = format!(
                    "{name} does nothing for {method}: it is for {}",
                    of.join(", ")
                );
                Err(Error::refused(refused).with_hint(format!("leave {name} away")))
            }
            None => Ok(()),
        }
    }

    fn of_vectors(&self, method: Method) -> HashOptions {
        let mut options = HashOptions::new(method, self.k.unwrap_or(16));
        options.activity = self.activity.unwrap_or(options.activity);
        options.shortlist = self.shortlist.unwrap_or(options.shortlist);
        self.set_learning(&mut options.learning);
        options
    }

    fn set_learning(&self, learning: &mut Learning) {
        learning.rule.winner = match self.winner {
            None | Some(Winner::Raw) => WinnerRule::Raw,
            Some(Winner::Normalised) => WinnerRule::Normalised,
        };
        if let Some(epochs) = self.epochs {
            learning.epochs = epochs as usize;
        }
        if let Some(rate) = self.rate {
            learning.rate = rate as f32;
        }
    }

    fn of_tokens(&self) -> BioWordOptions {
        let mut options = BioWordOptions::default();
        options.n_units = self.units.unwrap_or(options.n_units);
        options.window = self.window.unwrap_or(options.window);
        options.k = self.k.unwrap_or(options.k);
        self.set_learning(&mut options.learning);
        options
    }
}

pub fn hash(arguments: &HashArguments, session: &Session) -> Result<()> {
    if let Some(minutes) = arguments.max_minutes {
        session.stop.after(minutes_to_duration(minutes));
    }
    let neighbours = arguments.neighbours.as_deref();
    let outputs = job::Outputs {
        codes: &arguments.out,
        index: arguments.index.as_deref(),
        neighbours: neighbours.map(|path| (path, arguments.nearest.unwrap_or(10))),
    };
    let (seed, context) = (arguments.seed, session.context());
    let report = match (arguments.vector_method()?, &arguments.vectors) {
        (Some(method), Some(vectors)) => {
            let options = arguments.of_vectors(method);
            job::hash_vectors(vectors, &options, seed, outputs, context)?
        }
        _ => {
            let loaded = arguments.reading.load(&[], "hash")?;
            let read = (&loaded, arguments.min_count.unwrap_or(1));
            let options = arguments.of_tokens();
            job::hash_tokens(&arguments.pairs, read, &options, seed, outputs, context)?
        }
    };
    output::print(&report, &report.to_string(), arguments.json)
}
