//! The keys of a `config.json`, one by one.
//!
//! In: the object of the file. Out: what stands at a key, or an error that names file and key. Does not know what a network is made of
//! but for the keys that only some architectures have.

use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Albert, Family, MOST_POSITIONS, OWN_CONFIG, Positions};
use crate::error::{Error, Place, Result};

/// The keys of one file, read with errors that name them.
pub(super) struct Keys<'a> {
    pub path: &'a Path,
    pub map: &'a Map<String, Value>,
}

impl Keys<'_> {
    pub fn place(&self, key: &str) -> Place {
        Place::file(self.path).field(key)
    }

    /// What stands at `key`, as an error shows it.
    fn found(&self, key: &str) -> String {
        self.map
            .get(key)
            .map_or_else(|| "no such key".to_owned(), Value::to_string)
    }

    fn bad(&self, key: &str, expected: &str) -> Error {
        Error::input(self.place(key), expected, self.found(key)).with_hint(OWN_CONFIG)
    }

    /// A whole number from 1. Without `default` the key must be there.
    pub fn size(&self, key: &str, default: Option<usize>) -> Result<usize> {
        let size = match self.map.get(key) {
            None => default,
            Some(value) => value.as_u64().and_then(|n| usize::try_from(n).ok()),
        };
        size.filter(|&n| n > 0)
            .ok_or_else(|| self.bad(key, "a whole number from 1"))
    }

    /// A number in `range`, or `default` where the key is absent.
    pub fn real(&self, key: &str, default: f32, range: RangeInclusive<f32>) -> Result<f32> {
        let real = match self.map.get(key) {
            None => Some(default),
            Some(value) => value.as_f64().map(|x| x as f32),
        };
        real.filter(|x| range.contains(x)).ok_or_else(|| {
            let expected = format!("a number from {:?} to {:?}", range.start(), range.end());
            self.bad(key, &expected)
        })
    }

    /// True or false; false where the key is absent.
    pub fn flag(&self, key: &str) -> Result<bool> {
        match self.map.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.bad(key, "true or false")),
        }
    }

    /// What one of the texts means that may stand there; none where the key is absent.
    pub fn one_of<A: Copy>(&self, key: &str, texts: &[(&str, A)], hint: &str) -> Result<Option<A>> {
        let Some(value) = self.map.get(key) else {
            return Ok(None);
        };
        let known = texts.iter().find(|(text, _)| value.as_str() == Some(text));
        let Some((_, meaning)) = known else {
            let names: Vec<String> = texts.iter().map(|(text, _)| format!("{text:?}")).collect();
            let expected = names.join(" or ");
            return Err(Error::input(self.place(key), expected, self.found(key)).with_hint(hint));
        };
        Ok(Some(*meaning))
    }

    /// The keys of an ALBERT, with the defaults of `transformers`.
    pub fn albert(&self) -> Result<Albert> {
        if self.size("inner_group_num", Some(1))? != 1 {
            let place = self.place("inner_group_num");
            let error = Error::input(place, "1 layer a group", self.found("inner_group_num"));
            return Err(error.with_hint("take an ALBERT whose groups are one layer each"));
        }
        Ok(Albert {
            embedding_size: self.size("embedding_size", Some(128))?,
            num_hidden_groups: self.size("num_hidden_groups", Some(1))?,
        })
    }

    /// The architecture: that of `model_type`. Without one it is a BERT, or a NEZHA where `use_relative_position` is true, as in the
    /// files of its makers.
    pub fn family(&self) -> Result<Family> {
        let known = Family::ALL.map(|family| (family.model_type(), family));
        let family = self.one_of("model_type", &known, "other architectures are not read")?;
        let is_relative = self.flag("use_relative_position")?;
        Ok(match family {
            None | Some(Family::Bert) if is_relative => Family::Nezha,
            None => Family::Bert,
            Some(family) => family,
        })
    }

    /// The keys of positions, with the defaults of `transformers`.
    pub fn positions(&self, family: Family) -> Result<Positions> {
        match family {
            Family::Bert | Family::Albert => Ok(Positions::Absolute),
            Family::Nezha => {
                let max_distance = self.size("max_relative_position", Some(64))?;
                self.at_most("max_relative_position", max_distance)?;
                Ok(Positions::Relative { max_distance })
            }
            Family::RoFormer => {
                if self.flag("rotary_value")? {
                    let place = self.place("rotary_value");
                    let error = Error::input(place, "false", true);
                    return Err(
                        error.with_hint("take a RoFormer that turns queries and keys alone")
                    );
                }
                let hidden = self.size("hidden_size", None)?;
                let width = match self.map.get("embedding_size") {
                    None | Some(Value::Null) => hidden,
                    Some(_) => self.size("embedding_size", None)?,
                };
                if width != hidden {
                    let expected = format!("{hidden}, as hidden_size");
                    let error = Error::input(self.place("embedding_size"), expected, width);
                    return Err(error
                        .with_hint("take a RoFormer whose embeddings are as wide as its layers"));
                }
                Ok(Positions::Rotary)
            }
        }
    }

    /// Refuses a number of fixed positions, which no tensor of the checkpoint bounds.
    pub fn at_most(&self, key: &str, n: usize) -> Result<()> {
        match n <= MOST_POSITIONS {
            true => Ok(()),
            false => Err(self.bad(key, &format!("a whole number from 1 to {MOST_POSITIONS}"))),
        }
    }
}
