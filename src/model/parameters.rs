//! The named parameters of a network: dfdx tensors under their Hugging Face names.
//!
//! In: [`Weights`] (or a key, for fresh ones). Out: tensors for the forward pass, slices for the optimiser,
//! weights for saving. Knows names and shapes, not what they mean.

use std::collections::BTreeMap;

use dfdx::prelude::{Cpu, Gradients};
use ndarray::ArrayD;
use rand::RngExt;

use super::ops::Affine;
use super::tensor::{Matrix, matrix, values, values_mut};
use crate::checkpoint::{BertConfig, Heads, Weights, names};
use crate::error::{Error, Result};
use crate::random::Key;

/// One parameter: its tensor, (1 × n) for vectors, and its shape in files.
#[derive(Debug)]
struct Parameter {
    tensor: Matrix,
    shape: Vec<usize>,
}

/// All parameters, in the order of their names.
#[derive(Debug)]
pub struct Parameters(BTreeMap<String, Parameter>);

impl Parameters {
    /// Takes over exactly the weights that a network of this size and these heads has.
    ///
    /// # Errors
    /// [`Error::Unexpected`] where one is missing, superfluous or misshapen: readers have checked files before.
    pub fn new(config: &BertConfig, heads: Heads, mut weights: Weights) -> Result<Self> {
        let device = Cpu::default();
        let mut parameters = BTreeMap::new();
        for (name, shape) in names::tensors(config, heads) {
            let array = weights.remove(&name).filter(|array| array.shape() == shape);
            let array = array.ok_or_else(|| {
                Error::Unexpected(format!("no weights `{name}` of shape {shape:?}"))
            })?;
            let columns = shape.last().copied().unwrap_or(1);
            let values: Vec<f32> = array.iter().copied().collect();
            let rows = values.len() / columns.max(1);
            parameters.insert(
                name,
                Parameter {
                    tensor: matrix(&device, values, rows, columns),
                    shape,
                },
            );
        }
        match weights.keys().next() {
            Some(name) => Err(Error::Unexpected(format!(
                "weights `{name}` belong to no parameter"
            ))),
            None => Ok(Self(parameters)),
        }
    }

    /// Fresh weights: matrices normal with `initializer_range`, biases 0, norms 1 and 0 (as BERT's own).
    pub fn initial_weights(config: &BertConfig, heads: Heads, key: Key) -> Weights {
        let fresh = |(index, (name, shape)): (usize, (String, Vec<usize>))| {
            let n: usize = shape.iter().product();
            let values = if shape.len() > 1 {
                normal_values(n, config.initializer_range, key.at(index as u64))
            } else {
                let value = if name.ends_with("LayerNorm.weight") {
                    1.0
                } else {
                    0.0
                };
                vec![value; n]
            };
            let array =
                ArrayD::from_shape_vec(shape, values).expect("n is the product of the shape");
            (name, array)
        };
        names::tensors(config, heads)
            .into_iter()
            .enumerate()
            .map(fresh)
            .collect()
    }

    /// A copy of all weights, for saving.
    pub fn weights(&self) -> Weights {
        let array = |parameter: &Parameter| {
            ArrayD::from_shape_vec(parameter.shape.clone(), values(&parameter.tensor).to_vec())
                .expect("the tensor was made from this shape")
        };
        self.0
            .iter()
            .map(|(name, parameter)| (name.clone(), array(parameter)))
            .collect()
    }

    /// The tensor called `name`, sharing its storage.
    ///
    /// # Panics
    /// Where the network has none: callers ask by the table of names and the heads.
    pub fn tensor(&self, name: &str) -> Matrix {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("a network without `{name}`"))
            .tensor
            .clone()
    }

    /// `name.weight` and `name.bias`.
    pub fn affine(&self, name: &str) -> Affine {
        Affine {
            weight: self.tensor(&format!("{name}.weight")),
            bias: self.tensor(&format!("{name}.bias")),
        }
    }

    /// Number of scalars.
    pub fn count(&self) -> usize {
        self.0
            .values()
            .map(|parameter| values(&parameter.tensor).len())
            .sum()
    }

    /// Shows each parameter's values and gradient to `work`, in the order of names. `is_matrix` is false for
    /// biases and norms, which do not decay.
    pub fn visit_mut(
        &mut self,
        gradients: &mut Gradients<f32, Cpu>,
        mut work: impl FnMut(usize, bool, &mut [f32], &mut [f32]),
    ) -> Result<()> {
        for (index, parameter) in self.0.values_mut().enumerate() {
            let gradient = gradients.get_or_alloc_mut(&parameter.tensor);
            let gradient = gradient.map_err(|error| Error::Unexpected(error.to_string()))?;
            work(
                index,
                parameter.shape.len() > 1,
                values_mut(&mut parameter.tensor),
                gradient,
            );
        }
        Ok(())
    }

    /// Copies of all gradients under the parameters' names; zeros where there is none. For tests and diagnosis.
    pub fn gradients(&self, gradients: &mut Gradients<f32, Cpu>) -> Result<Weights> {
        let mut copies = Weights::new();
        for (name, parameter) in &self.0 {
            let gradient = gradients.get_or_alloc_mut(&parameter.tensor);
            let gradient = gradient.map_err(|error| Error::Unexpected(error.to_string()))?;
            let array = ArrayD::from_shape_vec(parameter.shape.clone(), gradient.to_vec());
            copies.insert(
                name.clone(),
                array.map_err(|error| Error::Unexpected(error.to_string()))?,
            );
        }
        Ok(copies)
    }

    /// The parameters' gradients alone, moved out of a finished pass: what activations left behind is dropped,
    /// the large allocations live on.
    ///
    /// # Errors
    /// Where memory runs out.
    pub fn carry_over(&self, mut finished: Gradients<f32, Cpu>) -> Result<Gradients<f32, Cpu>> {
        let mut next = Gradients::leaky();
        for parameter in self.0.values() {
            let mut carry = || -> std::result::Result<(), <Cpu as dfdx::prelude::HasErr>::Err> {
                let gradient = std::mem::take(&mut **finished.get_or_alloc_mut(&parameter.tensor)?);
                **next.get_or_alloc_mut(&parameter.tensor)? = gradient;
                Ok(())
            };
            carry().map_err(|error| Error::Unexpected(error.to_string()))?;
        }
        Ok(next)
    }

    /// Overwrites all values.
    ///
    /// # Panics
    /// Where `weights` are not those of this network.
    pub fn restore(&mut self, weights: &Weights) {
        for (name, parameter) in &mut self.0 {
            let saved = weights[name]
                .as_slice()
                .expect("saved weights are contiguous");
            values_mut(&mut parameter.tensor).copy_from_slice(saved);
        }
    }
}

/// Normal values with mean 0, by Box and Muller (1958).
fn normal_values(n: usize, deviation: f32, key: Key) -> Vec<f32> {
    let mut rng = key.rng();
    let mut normal = || {
        let (u, v): (f64, f64) = (rng.random(), rng.random());
        (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
    };
    (0..n)
        .map(|_| (normal() * f64::from(deviation)) as f32)
        .collect()
}
