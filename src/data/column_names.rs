//! The usual names of columns: which column of a header holds a text, and which the label.
//!
//! In: the names of a header. Out: column numbers from 0, or none where no name is usual or several are. Looks at names only, not
//! at what the columns hold.

use super::table::quoted;
use crate::error::{Error, Place, Result};

/// Names of two texts that stand beside each other, as [`plain`] writes them.
const PAIRS: [(&str, &str); 23] = [
    ("texta", "textb"),
    ("text1", "text2"),
    ("a", "b"),
    ("left", "right"),
    ("s1", "s2"),
    ("sa", "sb"),
    ("sent1", "sent2"),
    ("senta", "sentb"),
    ("sentence1", "sentence2"),
    ("sentencea", "sentenceb"),
    ("q1", "q2"),
    ("qa", "qb"),
    ("query1", "query2"),
    ("question1", "question2"),
    ("questiona", "questionb"),
    ("title1", "title2"),
    ("premise", "hypothesis"),
    ("query", "title"),
    ("query", "document"),
    ("query", "passage"),
    ("question", "answer"),
    ("句子1", "句子2"),
    ("文本1", "文本2"),
];

/// Names of one text.
const SINGLES: [&str; 16] = [
    "text",
    "texts",
    "sentence",
    "sent",
    "content",
    "review",
    "comment",
    "document",
    "description",
    "query",
    "question",
    "tokens",
    "文本",
    "句子",
    "内容",
    "评论",
];

/// Names of a label; the first stands before the others.
const LABELS: [&str; 24] = [
    "label",
    "labels",
    "goldlabel",
    "gold",
    "y",
    "target",
    "class",
    "classes",
    "category",
    "tag",
    "tags",
    "sentiment",
    "score",
    "similarity",
    "rating",
    "grade",
    "stars",
    "level",
    "same",
    "match",
    "duplicate",
    "isduplicate",
    "标签",
    "类别",
];

/// A name in lower case, without what stands between its words: `Text_A` is `texta`.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '.'));
    letters.flat_map(char::to_lowercase).collect()
}

/// The two texts; none where no two names stand in the list together, or several do.
pub fn pair(names: &[&str]) -> Option<(usize, usize)> {
    let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
    let find = |wanted: &str| names.iter().position(|name| name == wanted);
    let mut found = PAIRS.iter().filter_map(|(a, b)| Some((find(a)?, find(b)?)));
    found.next().filter(|_| found.next().is_none())
}

/// The other text of a pair whose one text is known.
pub fn partner(names: &[&str], known: usize) -> Option<usize> {
    let known = plain(names.get(known)?);
    let mut others = PAIRS.iter().filter_map(|(a, b)| {
        let other = match (known == *a, known == *b) {
            (true, _) => b,
            (_, true) => a,
            _ => return None,
        };
        names.iter().position(|name| plain(name) == *other)
    });
    others.next().filter(|_| others.next().is_none())
}

/// The text of single texts; none where no name is that of a text, or several are.
pub fn single(names: &[&str]) -> Option<usize> {
    only(names, |name| SINGLES.contains(&name))
}

/// The label: the column `label`, or else the only one with a usual name. The columns of `texts` are no labels.
pub fn label(names: &[&str], texts: &[usize]) -> Option<usize> {
    let is_free = |column: &usize| !texts.contains(column);
    let first = names.iter().position(|name| plain(name) == LABELS[0]);
    first.filter(is_free).or_else(|| {
        let mut columns = (0..names.len())
            .filter(is_free)
            .filter(|&column| LABELS.contains(&plain(names[column]).as_str()));
        columns.next().filter(|_| columns.next().is_none())
    })
}

/// Refuses a column whose name another one has too; `key` of `[data]` would tell them apart, and `header` is where the names stand.
///
/// # Errors
/// [`Error::Input`] naming the column.
pub fn require_once(names: &[&str], column: usize, key: &str, header: Place) -> Result<()> {
    let name = names.get(column).copied().unwrap_or_default();
    match names.iter().filter(|other| **other == name).count() {
        0 | 1 => Ok(()),
        n => {
            let times = if n == 2 {
                "twice".to_owned()
            } else {
                format!("{n} times")
            };
            let found = format!("{} {times}", quoted(name));
            Err(
                Error::input(header, "each name once", found).with_hint(format!(
                    "rename one of the columns, or set `data.{key}` to the number of the right one"
                )),
            )
        }
    }
}

fn only(names: &[&str], is_wanted: impl Fn(&str) -> bool) -> Option<usize> {
    let mut columns = (0..names.len()).filter(|&column| is_wanted(&plain(names[column])));
    columns.next().filter(|_| columns.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_their_names_wherever_they_stand() {
        assert_eq!(pair(&["id", "text_a", "text_b", "label"]), Some((1, 2)));
        assert_eq!(pair(&["label", "Sentence2", "Sentence1"]), Some((2, 1)));
        assert_eq!(pair(&["id", "x", "y"]), None);
        assert_eq!(pair(&["a", "b", "q1", "q2"]), None);
        assert_eq!(single(&["id", "Text", "label"]), Some(1));
        assert_eq!(single(&["text", "content"]), None);
        assert_eq!(partner(&["id", "q2", "q1"], 1), Some(2));
        assert_eq!(partner(&["id", "q2", "x"], 1), None);
    }

    #[test]
    fn the_label_is_the_one_that_is_called_so() {
        assert_eq!(label(&["score", "label", "a", "b"], &[2, 3]), Some(1));
        assert_eq!(label(&["a", "b", "is_duplicate"], &[0, 1]), Some(2));
        assert_eq!(label(&["score", "rating", "text"], &[2]), None);
        assert_eq!(label(&["label", "x"], &[0]), None);
    }
}
