//! dfdx tensors from values, and back.

use dfdx::prelude::{Cpu, HasShape, NoneTape, SplitTape, Tape, Tensor, TensorFromVec};
use dfdx::shapes::Rank0;

use crate::kernels::buffer::Buffer;

/// A run-time sized (rows × columns) f32 tensor; vectors are (1 × n).
pub type Matrix<T = NoneTape> = Tensor<(usize, usize), f32, Cpu, T>;
/// A run-time sized vector: one loss a target.
pub type Vector<T = NoneTape> = Tensor<(usize,), f32, Cpu, T>;
/// One number: a loss.
pub type Scalar<T = NoneTape> = Tensor<Rank0, f32, Cpu, T>;

/// Moves values into a tensor.
///
/// # Panics
/// Where the number of values is not rows × columns.
pub fn matrix(device: &Cpu, values: Vec<f32>, rows: usize, columns: usize) -> Matrix {
    device.tensor_from_vec(values, (rows, columns))
}

/// A copy of all values, row-major, in memory that comes back.
///
/// # Panics
/// Where the tensor is a broadcast view, whose storage is smaller.
pub(super) fn values<T: Tape<f32, Cpu>>(tensor: &Matrix<T>) -> Buffer<f32>
where
    Matrix<T>: SplitTape,
{
    let (rows, columns) = *tensor.shape();
    let mut values = Buffer::new(rows * columns);
    tensor.copy_into(&mut values);
    values
}
