//! dfdx tensors as plain slices, and back. The only `unsafe` outside `kernels`.
//!
//! dfdx keeps a tensor's storage private; its public borrow is one element. Kernels need all of
//! them without a copy, so that borrow is widened here after checking that the storage is contiguous.

use dfdx::prelude::{Cpu, NoneTape, Tensor, TensorFromVec};

/// A run-time sized (rows × columns) f32 tensor; vectors are (1 × n).
pub type Matrix<T = NoneTape> = Tensor<(usize, usize), f32, Cpu, T>;
/// A run-time sized vector: one loss a target.
pub type Vector<T = NoneTape> = Tensor<(usize,), f32, Cpu, T>;

/// Moves values into a tensor.
///
/// # Panics
/// Where the number of values is not rows × columns.
pub fn matrix(device: &Cpu, values: Vec<f32>, rows: usize, columns: usize) -> Matrix {
    device.tensor_from_vec(values, (rows, columns))
}

/// All values of a contiguous tensor, row-major.
///
/// # Panics
/// Where the tensor is a broadcast or transposed view: its storage has another order or size.
pub fn values<T>(tensor: &Matrix<T>) -> &[f32] {
    use dfdx::prelude::HasShape;
    let (rows, columns) = *tensor.shape();
    if rows * columns == 0 {
        return &[];
    }
    let first: *const f32 = &tensor[[0, 0]];
    check_contiguous(
        first,
        &tensor[[rows - 1, columns - 1]],
        rows,
        columns,
        |i, j| &tensor[[i, j]],
    );
    // SAFETY: dfdx stores a tensor in one `Vec<f32>`, `first` points into it, and the checks above place element
    // (i, j) at `first + i * columns + j`, so rows * columns initialised elements lie there. They are borrowed
    // as long as `tensor` is; writing needs `&mut` to it. (Tree Borrows allows the widening, Stacked Borrows
    // does not; dfdx offers no wider borrow.)
    unsafe { std::slice::from_raw_parts(first, rows * columns) }
}

/// All values of a contiguous tensor, to be changed in place. Copies first if the storage is shared.
///
/// # Panics
/// As [`values`].
pub fn values_mut(tensor: &mut Matrix) -> &mut [f32] {
    use dfdx::prelude::HasShape;
    let (rows, columns) = *tensor.shape();
    if rows * columns == 0 {
        return &mut [];
    }
    let first: *mut f32 = &mut tensor[[0, 0]]; // makes the storage unique
    check_contiguous(
        first,
        &tensor[[rows - 1, columns - 1]],
        rows,
        columns,
        |i, j| &tensor[[i, j]],
    );
    // SAFETY: as in `values`; `IndexMut` has made the storage unique, and `tensor` is borrowed mutably.
    unsafe { std::slice::from_raw_parts_mut(first, rows * columns) }
}

/// Both strides and the last element must be where a row-major tensor has them.
fn check_contiguous<'a>(
    first: *const f32,
    last: *const f32,
    rows: usize,
    columns: usize,
    at: impl Fn(usize, usize) -> &'a f32,
) {
    let distance = |to: *const f32| (to as usize).wrapping_sub(first as usize) / size_of::<f32>();
    let contiguous = distance(last) == rows * columns - 1
        && (columns < 2 || distance(at(0, 1)) == 1)
        && (rows < 2 || distance(at(1, 0)) == columns);
    assert!(
        contiguous,
        "a ({rows} x {columns}) tensor must be contiguous"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfdx::prelude::{Axes2, BroadcastTo, PermuteTo};

    #[test]
    fn values_are_row_major_and_writable() {
        let mut tensor = matrix(&Cpu::default(), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3);
        assert_eq!(values(&tensor), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let shared = tensor.clone();
        values_mut(&mut tensor)[5] = 7.0;
        assert_eq!(tensor[[1, 2]], 7.0);
        assert_eq!(shared[[1, 2]], 6.0);
        assert!(values(&matrix(&Cpu::default(), vec![], 0, 3)).is_empty());
    }

    #[test]
    #[should_panic(expected = "must be contiguous")]
    fn a_transposed_view_is_refused() {
        let tensor = matrix(&Cpu::default(), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3);
        let _ = values(&tensor.permute::<(usize, usize), Axes2<1, 0>>());
    }

    #[test]
    #[should_panic(expected = "must be contiguous")]
    fn a_broadcast_view_is_refused() {
        let row: Vector = Cpu::default().tensor_from_vec(vec![1.0, 2.0], (2,));
        let _ = values(&row.broadcast_like::<_, dfdx::prelude::Axis<0>>(&(3, 2)));
    }
}
