//! Values of the experiment file that TOML writes in more than one way.
//!
//! In: what stands there. Out: a [`Valid`], a list of paths. Does not look at the disk.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::data::split::ValidSplit;

/// `data.valid`: where the validation rows come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Valid {
    /// Rows of the training files.
    Split(ValidSplit),
    /// A labelled file of its own.
    File(PathBuf),
}

impl Valid {
    /// The values that are neither a path nor a number.
    pub const WORDS: [&str; 3] = ["row10", "group", "none"];
    /// What the key may hold, in words.
    pub const CHOICES: &str = "`row10`, `group`, `none`, a share such as 0.1, or a file";
}

impl From<String> for Valid {
    fn from(text: String) -> Self {
        match text.as_str() {
            "row10" => Self::Split(ValidSplit::Row10),
            "group" => Self::Split(ValidSplit::Group),
            "none" => Self::Split(ValidSplit::None),
            _ => Self::File(PathBuf::from(text)),
        }
    }
}

impl Serialize for Valid {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Split(ValidSplit::Row10) => serializer.serialize_str("row10"),
            Self::Split(ValidSplit::Group) => serializer.serialize_str("group"),
            Self::Split(ValidSplit::None) => serializer.serialize_str("none"),
            Self::Split(ValidSplit::Share(share)) => serializer.serialize_f64(*share),
            Self::File(path) => path.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Valid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct WordOrShare;
        impl serde::de::Visitor<'_> for WordOrShare {
            type Value = Valid;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(Valid::CHOICES)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Valid, E> {
                Ok(Valid::from(text.to_owned()))
            }

            fn visit_f64<E: serde::de::Error>(self, share: f64) -> std::result::Result<Valid, E> {
                Ok(Valid::Split(ValidSplit::Share(share)))
            }

            // `check` says which shares there are.
            fn visit_i64<E: serde::de::Error>(self, share: i64) -> std::result::Result<Valid, E> {
                self.visit_f64(share as f64)
            }
        }
        deserializer.deserialize_any(WordOrShare)
    }
}

/// A list of paths, or one path.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Vec<PathBuf>, D::Error> {
    struct Paths;
    impl<'de> serde::de::Visitor<'de> for Paths {
        type Value = Vec<PathBuf>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a path or a list of paths")
        }

        fn visit_str<E: serde::de::Error>(self, path: &str) -> std::result::Result<Self::Value, E> {
            Ok(vec![PathBuf::from(path)])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(
            self,
            paths: A,
        ) -> std::result::Result<Self::Value, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(paths))
        }
    }
    deserializer.deserialize_any(Paths)
}
