//! How a batch is cut into tasks: consecutive rows that one thread takes through a layer.
//!
//! In: the rows' offsets and the positions whose last hidden states are wanted. Out: tasks of about even size, by the
//! batch alone. Does not compute.

use std::ops::Range;

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
    /// Which row of the output each of `wanted` is.
    pub outputs: Vec<usize>,
}

/// Cuts a batch into tasks of about `size` tokens, by the batch alone.
pub(super) fn tasks(offsets: &[usize], wanted: &[u32], size: usize) -> Vec<Task> {
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
        tasks.push(Task {
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
        for size in [1, 7, 80, 1000] {
            let tasks = tasks(&offsets, &wanted, size);
            let mut next_token = 0;
            let mut found = vec![u32::MAX; wanted.len()];
            for task in &tasks {
                assert_eq!(task.tokens.start, next_token);
                assert_eq!(offsets[task.first_row], task.tokens.start);
                assert_eq!(task.offsets[0], 0);
                assert_eq!(task.offsets[task.offsets.len() - 1], task.tokens.len());
                assert_eq!(task.wanted_offsets.len(), task.offsets.len());
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
        assert!(tasks(&[], &[], 80).is_empty());
    }
}
