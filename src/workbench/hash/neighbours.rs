//! The tokens whose codes have most in common, as a table.
//!
//! In: the names of tokens and their codes. Out: for each token the others that share most ones with it, the nearest first, of equals
//! the more frequent one. Learns nothing.

use std::fmt::Write;

use crate::error::Result;
use crate::index::codes::SetList;
use crate::index::{Index, Inverted, Neighbour};

/// TSV with a header: token, rank from 1, neighbour, ones in common. `n` neighbours of each token, or all others where there are fewer.
///
/// # Errors
/// As [`Index::search`].
pub fn table(index: &Inverted, names: &[String], codes: &SetList, n: usize) -> Result<String> {
    let mut table = "token\trank\tneighbour\tcommon\n".to_owned();
    // A token is among its own neighbours, unless as many others have its code.
    let found = index.search(codes.sets().into(), n.saturating_add(1).min(index.len()))?;
    for (token, found) in found.iter().enumerate() {
        let others = found.iter().filter(|found| found.number != token).take(n);
        for (rank, Neighbour { number, score }) in (1..).zip(others) {
            let (name, other) = (&names[token], &names[*number]);
            let _ = writeln!(table, "{name}\t{rank}\t{other}\t{score}"); // a String takes all
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_no_neighbour_of_itself() {
        let mut codes = SetList::default();
        for code in [[0, 1], [0, 1], [1, 2], [0, 1]] {
            codes.push(code);
        }
        let mut index = Inverted::new(3);
        index.add(codes.sets().into()).expect("units");
        let names = ["7", "8", "9", "10"].map(str::to_owned);
        let shown = |n| table(&index, &names, &codes, n).expect("tokens");
        let first =
            "token\trank\tneighbour\tcommon\n7\t1\t8\t2\n8\t1\t7\t2\n9\t1\t7\t1\n10\t1\t7\t2\n";
        assert_eq!(shown(1), first);
        assert_eq!(shown(usize::MAX).lines().count(), 1 + 4 * 3);
        assert!(shown(3).contains("\n10\t2\t8\t2\n10\t3\t9\t1\n"));
    }
}
