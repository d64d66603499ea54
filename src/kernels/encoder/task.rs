//! How a batch is cut into tasks: consecutive rows that one thread takes through a layer.
//!
//! In: packed rows and the positions whose last hidden states are wanted. Out: tasks of about even size, by the
//! batch alone. Does not compute.

use std::ops::Range;

use super::PackedRows;
use crate::kernels::rows;

/// Consecutive rows that one task computes.
#[derive(Debug)]
pub(super) struct Task {
    /// Number of its first row in the batch.
    pub first_row: usize,
    /// In the batch.
    pub tokens: Range<usize>,
    /// Of its rows, from 0.
    pub offsets: Vec<usize>,
    /// Tokens whose last hidden state is wanted, from the task's first; ascending.
    pub wanted: Vec<u32>,
    /// Of its rows within `wanted`.
    pub wanted_offsets: Vec<usize>,
    /// In its row, of each token.
    pub positions: Vec<u32>,
    /// The same of `wanted`.
    pub wanted_positions: Vec<u32>,
    /// How many tokens of its row each token sees; `None` where all see all.
    pub visible: Option<Vec<u32>>,
    /// The same of `wanted`.
    pub wanted_visible: Option<Vec<u32>>,
    /// Which row of the output each of `wanted` is.
    pub outputs: Vec<usize>,
}

/// Cuts a batch into tasks of about `size` tokens, by the batch alone.
pub(super) fn tasks(batch: &PackedRows, wanted: &[u32], size: usize) -> Vec<Task> {
    let offsets = batch.offsets;
    let n_tokens = offsets.last().copied().unwrap_or(0);
    let n_tasks = rows::n_tasks(n_tokens, size);
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&output| wanted[output]);
    let mut order = order.into_iter().peekable();
    let (mut tasks, mut first_row) = (Vec::with_capacity(n_tasks), 0);
    for number in 1..=n_tasks {
        // The rows whose end is within the task's even share.
        let end = number * n_tokens / n_tasks;
        let last_row = offsets.partition_point(|&offset| offset <= end) - 1;
        if last_row == first_row {
            continue;
        }
        let bounds = &offsets[first_row..=last_row];
        let tokens = bounds[0]..bounds[bounds.len() - 1];
        let (mut positions, mut wanted_offsets, mut outputs) = (Vec::new(), vec![0], Vec::new());
        for &row_end in &bounds[1..] {
            while let Some(output) = order.next_if(|&output| (wanted[output] as usize) < row_end) {
                positions.push(wanted[output] - tokens.start as u32);
                outputs.push(output);
            }
            wanted_offsets.push(positions.len());
        }
        let visible = batch
            .visible
            .map(|visible| visible[tokens.clone()].to_vec());
        let in_row = batch.position_ids[tokens.clone()].to_vec();
        let of_wanted = |of: &Vec<u32>| positions.iter().map(|&i| of[i as usize]).collect();
        tasks.push(Task {
            wanted_visible: visible.as_ref().map(of_wanted),
            visible,
            wanted_positions: of_wanted(&in_row),
            positions: in_row,
            first_row,
            offsets: bounds.iter().map(|offset| offset - tokens.start).collect(),
            tokens,
            wanted: positions,
            wanted_offsets,
            outputs,
        });
        first_row = last_row;
    }
    assert!(
        order.next().is_none(),
        "wanted positions are within the batch"
    );
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_cover_all_rows_and_find_every_wanted_position() {
        let offsets: Vec<usize> = [0, 5, 6, 300, 301, 310, 350, 420].into();
        let wanted = [419, 0, 299, 5, 5, 309];
        let visible: Vec<u32> = (0..420).collect(); // of each token its own number, to know it by
        let batch = |offsets| PackedRows {
            input_ids: &[],
            position_ids: &visible,
            segment_ids: &[],
            visible: Some(&visible),
            offsets,
        };
        for size in [1, 7, 80, 1000] {
            let tasks = tasks(&batch(&offsets), &wanted, size);
            let mut next_token = 0;
            let mut found = vec![u32::MAX; wanted.len()];
            for task in &tasks {
                assert_eq!(task.tokens.start, next_token);
                assert_eq!(offsets[task.first_row], task.tokens.start);
                assert_eq!(task.offsets[0], 0);
                assert_eq!(task.offsets[task.offsets.len() - 1], task.tokens.len());
                assert_eq!(task.wanted_offsets.len(), task.offsets.len());
                let own: Vec<u32> = task.tokens.clone().map(|token| token as u32).collect();
                assert_eq!(task.positions, own);
                assert_eq!(task.visible, Some(own));
                let of_wanted = task.wanted.iter().map(|i| task.tokens.start as u32 + i);
                let of_wanted: Vec<u32> = of_wanted.collect();
                assert_eq!(task.wanted_positions, of_wanted);
                assert_eq!(task.wanted_visible, Some(of_wanted));
                for (row, bounds) in task.wanted_offsets.windows(2).enumerate() {
                    for i in bounds[0]..bounds[1] {
                        let tokens = task.offsets[row] as u32..task.offsets[row + 1] as u32;
                        assert!(tokens.contains(&task.wanted[i]));
                        found[task.outputs[i]] = task.tokens.start as u32 + task.wanted[i];
                    }
                }
                next_token = task.tokens.end;
            }
            assert_eq!(next_token, 420);
            assert_eq!(found, wanted);
        }
        assert!(tasks(&batch(&[]), &[], 80).is_empty());
    }
}
