//! Cipher ids and their names.
//!
//! In: tokens as the pair files write them. Out: [`CipherId`]s, and their names again. A numeric file's ids are its
//! numbers; a text file's are given in order of first appearance, so read files in one fixed order. Does not count.

use std::collections::HashMap;

/// A token as the competition publishes it (numeric files), or the number we gave its string in
/// order of first appearance (text files).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CipherId(pub u32);

/// How tokens are written in the pair files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Whole numbers from 0 to 4294967295.
    #[default]
    Number,
    /// Any strings.
    Text,
}

/// Names of cipher ids.
#[derive(Debug, Clone)]
pub struct Dictionary {
    kind: TokenKind,
    /// Names by id; empty for numbers, which name themselves.
    names: Vec<String>,
    ids: HashMap<String, CipherId>,
}

impl Dictionary {
    /// An empty dictionary for tokens of one kind.
    pub fn new(kind: TokenKind) -> Self {
        Self {
            kind,
            names: Vec::new(),
            ids: HashMap::new(),
        }
    }

    /// How its tokens are written.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The id of `token`, new if it was not met before; `None` where numbers are wanted and it is none (or above
    /// u32, or has a leading zero: two spellings of one id would merge unseen).
    pub fn id(&mut self, token: &str) -> Option<CipherId> {
        let known = self.get(token);
        if known.is_some() || self.kind == TokenKind::Number {
            return known;
        }
        let id = CipherId(u32::try_from(self.names.len()).ok()?);
        self.names.push(token.to_owned());
        self.ids.insert(token.to_owned(), id);
        Some(id)
    }

    /// The id of `token` as [`Dictionary::id`] gives it, without learning a new one.
    pub fn get(&self, token: &str) -> Option<CipherId> {
        match self.kind {
            TokenKind::Number => {
                let digits = token.bytes().all(|byte| byte.is_ascii_digit());
                let canonical = digits && (token == "0" || !token.starts_with('0'));
                canonical.then(|| token.parse().ok().map(CipherId))?
            }
            TokenKind::Text => self.ids.get(token).copied(),
        }
    }

    /// The token as it is written in the pair files.
    ///
    /// # Panics
    /// Where the id is of another dictionary of texts.
    pub fn name(&self, id: CipherId) -> String {
        match self.kind {
            TokenKind::Number => id.0.to_string(),
            TokenKind::Text => self.names[id.0 as usize].clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_themselves() {
        let mut dictionary = Dictionary::new(TokenKind::Number);
        for (token, id) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("007", None),
            ("00", None),
            ("", None),
            ("x", None),
            ("１", None),
        ] {
            assert_eq!(dictionary.id(token), id.map(CipherId), "{token}");
            if let Some(id) = id {
                assert_eq!(dictionary.name(CipherId(id)), token);
            }
        }
    }

    #[test]
    fn texts_are_numbered_by_first_appearance() {
        let mut dictionary = Dictionary::new(TokenKind::Text);
        let ids: Vec<_> = ["b", "a", "b", "7"].map(|t| dictionary.id(t)).into();
        assert_eq!(ids, [0, 1, 0, 2].map(|i| Some(CipherId(i))));
        assert_eq!(dictionary.name(CipherId(2)), "7");
        assert_eq!(dictionary.get("new"), None);
    }
}
