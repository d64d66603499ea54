//! Scores of rows, as models give them.
//!
//! In: one number or several a row. Out: the same by row or by column. Knows no labels and no files.

/// Scores of some rows, row after row.
///
/// Logits: of the second of two classes against the first, or one a class. For ordinals a number whose order counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores {
    /// Scores a row, 1 or more.
    pub width: usize,
    /// (rows × width).
    pub values: Vec<f32>,
}

impl Scores {
    /// None yet, of `width` a row.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            values: Vec::new(),
        }
    }

    /// One score a row.
    pub fn single(values: Vec<f32>) -> Self {
        Self { width: 1, values }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The scores of one row after the other.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// The scores of one row.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// One score of every row.
    ///
    /// # Panics
    /// Where a row has fewer.
    pub fn column(&self, column: usize) -> Vec<f32> {
        self.rows().map(|row| row[column]).collect()
    }

    /// The scores of some rows, in the given order.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            width: self.width,
            values: rows
                .iter()
                .flat_map(|&row| self.row(row))
                .copied()
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_row_and_by_column() {
        let scores = Scores {
            width: 2,
            values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        };
        assert_eq!((scores.len(), scores.row(1)), (3, &[3.0, 4.0][..]));
        assert_eq!(scores.column(1), [2.0, 4.0, 6.0]);
        assert_eq!(scores.select(&[2, 0]).values, [5.0, 6.0, 1.0, 2.0]);
        assert!(Scores::new(3).is_empty() && Scores::default().is_empty());
    }
}
