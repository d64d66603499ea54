//! The named parameters of a network, with their gradients, under their Hugging Face names.
//!
//! In: [`Weights`]. Out: borrowed weights for the kernels, slices for the optimiser,
//! weights for saving. Knows names and shapes, not what they mean.
//!
//! Gradients live here and not on the tape: they are added to in place, step after step, without an allocation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ndarray::ArrayD;
use rayon::prelude::*;

use crate::checkpoint::{BertConfig, Heads, Weights, names};
use crate::error::{Error, Result};
use crate::kernels::gemm::weight::PackedWeight;
use crate::kernels::linear::Linear;
use crate::kernels::path::Path;
use crate::kernels::{AffineGradient, adamw};

/// One parameter, its shape in files, and the form in which it enters products.
#[derive(Debug)]
struct Parameter {
    values: Vec<f32>,
    shape: Vec<usize>,
    packed: PackedWeight,
}

/// One parameter and its gradient, to be changed.
#[derive(Debug)]
pub struct Update<'a> {
    /// Of the parameter.
    pub name: &'a str,
    /// Biases and norms are none.
    pub is_matrix: bool,
    /// Of the parameter.
    pub values: &'a mut [f32],
    /// What was added up since it was last zero.
    pub gradient: &'a mut [f32],
}

/// All parameters, in the order of their names.
#[derive(Debug)]
pub struct Parameters {
    path: Path,
    table: BTreeMap<String, Parameter>,
    gradients: GradientStore,
}

/// Gradients by the names of their parameters. A parameter that no pass has used has none.
#[derive(Debug, Default)]
pub struct GradientStore(Mutex<BTreeMap<String, Vec<f32>>>);

impl Parameters {
    /// Takes over exactly the weights that a network of this size and these heads has, for products on `path`.
    ///
    /// # Errors
    /// [`Error::Unexpected`] where one is missing, superfluous or misshapen: readers have checked files before.
    pub fn new(
        config: &BertConfig,
        heads: Heads,
        path: Path,
        mut weights: Weights,
    ) -> Result<Self> {
        let mut table = BTreeMap::new();
        for (name, shape) in names::tensors(config, heads) {
            let array = weights.remove(&name).filter(|array| array.shape() == shape);
            let array = array.ok_or_else(|| {
                Error::Unexpected(format!("no weights `{name}` of shape {shape:?}"))
            })?;
            let values = match array.as_slice() {
                Some(values) => values.to_vec(),
                None => array.iter().copied().collect(),
            };
            let mut parameter = Parameter {
                values,
                shape,
                packed: PackedWeight::default(),
            };
            parameter.pack(&name, path);
            table.insert(name, parameter);
        }
        match weights.keys().next() {
            Some(name) => Err(Error::Unexpected(format!(
                "weights `{name}` belong to no parameter"
            ))),
            None => Ok(Self {
                path,
                table,
                gradients: GradientStore::default(),
            }),
        }
    }

    /// How products are computed.
    pub fn path(&self) -> Path {
        self.path
    }

    /// Where the gradients are.
    pub fn gradients(&self) -> &GradientStore {
        &self.gradients
    }

    /// A copy of all weights, for saving.
    pub fn weights(&self) -> Weights {
        let array = |parameter: &Parameter| {
            ArrayD::from_shape_vec(parameter.shape.clone(), parameter.values.clone())
                .expect("the values were made from this shape")
        };
        self.table
            .iter()
            .map(|(name, parameter)| (name.clone(), array(parameter)))
            .collect()
    }

    /// The values of the parameter called `name`.
    ///
    /// # Panics
    /// Where the network has none: callers ask by the table of names and the heads.
    pub fn values(&self, name: &str) -> &[f32] {
        &self.parameter(name).values
    }

    /// `name.weight` and `name.bias`; a norm is a map whose weight is γ.
    ///
    /// # Panics
    /// As [`Parameters::values`].
    pub fn linear(&self, name: &str) -> Linear<'_> {
        self.linear_of(&format!("{name}.weight"), &format!("{name}.bias"))
    }

    /// A map whose weight and bias have unrelated names.
    ///
    /// # Panics
    /// As [`Parameters::values`].
    pub fn linear_of(&self, weight: &str, bias: &str) -> Linear<'_> {
        let weight = self.parameter(weight);
        Linear {
            weight: &weight.values,
            bias: self.values(bias),
            packed: &weight.packed,
        }
    }

    fn parameter(&self, name: &str) -> &Parameter {
        self.table
            .get(name)
            .unwrap_or_else(|| panic!("a network without `{name}`"))
    }

    /// Sum of squares of each gradient, in the order of names; `None` where a parameter has no gradient.
    pub fn gradient_squares(&mut self) -> Vec<Option<f64>> {
        let gradients = self.gradients.get_mut();
        let names: Vec<_> = self.table.keys().collect();
        let squares = names.into_par_iter().map(|name| {
            let gradient = gradients.get(name)?;
            Some(adamw::sum_of_squares(gradient))
        });
        squares.collect()
    }

    /// Shows each parameter that has a gradient to `work`, in parallel, and packs anew what `work` says it has changed.
    ///
    /// # Panics
    /// Where `states` has not one entry a parameter, in the order of names.
    pub fn update<S: Send>(&mut self, states: Vec<S>, work: impl Fn(Update, S) -> bool + Sync) {
        assert_eq!(states.len(), self.table.len(), "one entry a parameter");
        let path = self.path;
        let mut gradients: BTreeMap<_, _> = self.gradients.get_mut().iter_mut().collect();
        let parameters: Vec<_> = self
            .table
            .iter_mut()
            .zip(states)
            .filter_map(|((name, parameter), state)| {
                Some((gradients.remove(name)?, name, parameter, state))
            })
            .collect();
        parameters.into_par_iter().with_max_len(1).for_each(
            |(gradient, name, parameter, state)| {
                let update = Update {
                    name,
                    is_matrix: parameter.shape.len() > 1,
                    values: &mut parameter.values,
                    gradient,
                };
                if work(update, state) {
                    parameter.pack(name, path);
                }
            },
        );
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(String::as_str)
    }

    /// Copies of all gradients under the parameters' names, zeros where there is none; forgets them.
    pub fn take_gradients(&self) -> Weights {
        let copy = |(name, parameter): (&String, &Parameter)| {
            let gradient = self.gradients.take(name, parameter.values.len());
            let array = ArrayD::from_shape_vec(parameter.shape.clone(), gradient);
            (
                name.clone(),
                array.expect("a gradient has its parameter's shape"),
            )
        };
        let gradients = self.table.iter().map(copy).collect();
        self.gradients.clear();
        gradients
    }

    /// Overwrites all values.
    ///
    /// # Panics
    /// Where `weights` are not those of this network.
    pub fn restore(&mut self, weights: &Weights) {
        for (name, parameter) in &mut self.table {
            let saved = weights[name]
                .as_slice()
                .expect("saved weights are contiguous");
            parameter.values.copy_from_slice(saved);
            parameter.pack(name, self.path);
        }
    }

    /// Changes the values of one parameter.
    ///
    /// # Panics
    /// As [`Parameters::values`].
    pub fn change(&mut self, name: &str, work: impl FnOnce(&mut [f32])) {
        let path = self.path;
        let parameter = self.table.get_mut(name);
        let parameter = parameter.unwrap_or_else(|| panic!("a network without `{name}`"));
        work(&mut parameter.values);
        parameter.pack(name, path);
    }

    /// Moves `average` towards the values by `share` of the way.
    ///
    /// # Panics
    /// Where `average` has not these parameters.
    pub fn average_into(&self, average: &mut Weights, share: f32) {
        average.par_iter_mut().for_each(|(name, average)| {
            let average = average.as_slice_mut().expect("an average is contiguous");
            let each = average.iter_mut().zip(self.values(name));
            each.for_each(|(average, value)| *average += share * (value - *average));
        });
    }

    /// Takes all gradients out.
    pub fn drain_gradients(&mut self) -> BTreeMap<String, Vec<f32>> {
        std::mem::take(self.gradients.get_mut())
    }

    /// The gradient of `name`, taken out to be added to; zeros the first time.
    ///
    /// # Panics
    /// As [`Parameters::values`].
    pub fn take_gradient(&self, name: &str) -> Vec<f32> {
        self.gradients.take(name, self.values(name).len())
    }

    /// The gradients of `name.weight` and `name.bias`.
    ///
    /// # Panics
    /// As [`Parameters::values`].
    pub fn take_affine(&self, name: &str) -> AffineGradient {
        AffineGradient {
            weight: self.take_gradient(&format!("{name}.weight")),
            bias: self.take_gradient(&format!("{name}.bias")),
        }
    }

    /// Puts back what [`Parameters::take_affine`] has taken.
    pub fn put_affine(&self, name: &str, gradient: AffineGradient) {
        self.gradients
            .put(&format!("{name}.weight"), gradient.weight);
        self.gradients.put(&format!("{name}.bias"), gradient.bias);
    }
}

impl Parameter {
    /// Renews the packed form, where the parameter enters the products of the blocks.
    fn pack(&mut self, name: &str, path: Path) {
        let enters_products = self.shape.len() == 2
            && (name.starts_with("bert.encoder.")
                || name == "cls.predictions.transform.dense.weight"
                || name == "bert.embeddings.word_embeddings.weight");
        if path.packs() && enters_products {
            self.packed.pack(&self.values, self.shape[0], self.shape[1]);
        }
    }
}

impl GradientStore {
    fn take(&self, name: &str, length: usize) -> Vec<f32> {
        let mut gradients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gradient = gradients.get_mut(name).map(std::mem::take);
        gradient.unwrap_or_else(|| vec![0.0; length])
    }

    /// Forgets all gradients.
    fn clear(&self) {
        let mut gradients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gradients.clear();
    }

    /// Puts back what was taken.
    pub fn put(&self, name: &str, gradient: Vec<f32>) {
        let mut gradients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match gradients.get_mut(name) {
            Some(place) => *place = gradient,
            None => {
                gradients.insert(name.to_owned(), gradient);
            }
        }
    }

    fn get_mut(&mut self) -> &mut BTreeMap<String, Vec<f32>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}
