//! FAQ: graph matching of the most frequent types by Frank-Wolfe over doubly stochastic matrices (Vogelstein et al. 2015).
//!
//! In: square matrices of both sides and an affinity of types. Out: a permutation. The objective is the sum over the
//! matrices of tr(A P Bᵀ Pᵀ) plus the affinity of P; the direction is a linear assignment of the gradient, the step is
//! exact.

use ndarray::{Array2, Zip};
use rayon::prelude::*;

use super::assignment;
use super::matrix::product;
use crate::error::Result;

/// What is to be matched: pairs of matrices, and what speaks for each pair of types by itself.
pub(super) struct Problem {
    /// Cipher and plaintext matrices, all n × n.
    pub graphs: Vec<(Array2<f32>, Array2<f32>)>,
    /// Cipher type × plaintext type.
    pub affinity: Array2<f32>,
}

/// The plaintext type of each cipher type: ascends from `start` (doubly stochastic) until a step gains less than
/// `tolerance` of the objective.
pub(super) fn solve(
    problem: &Problem,
    start: Array2<f32>,
    (most_steps, tolerance): (usize, f64),
) -> Result<Vec<usize>> {
    let turned: Vec<_> = problem
        .graphs
        .iter()
        .map(|(a, b)| {
            let turn = |m: &Array2<f32>| m.t().as_standard_layout().into_owned();
            (turn(a), turn(b))
        })
        .collect();
    let mut p = start;
    // The quadratic part's gradient is linear in P, so that it moves along with P.
    let mut quadratic = gradient(problem, &turned, &|m| product(m.view(), p.view()));
    for _ in 0..most_steps {
        let mut total = quadratic.clone();
        total += &problem.affinity;
        let columns = assignment::dense(total.view())?;
        let target = gradient(problem, &turned, &|m| permuted(m, &columns));
        // Along D = Q - P: f(α) = f(0) + α slope + α² curve, with tr(A D Bᵀ Dᵀ) = half the gradient's product with D.
        let at_p = dot(&total, &p);
        let at_q: f64 = columns
            .iter()
            .enumerate()
            .map(|(i, &j)| f64::from(total[(i, j)]))
            .sum();
        let slope = at_q - at_p;
        let q_of = |m: &Array2<f32>| -> f64 {
            columns
                .iter()
                .enumerate()
                .map(|(i, &j)| f64::from(m[(i, j)]))
                .sum()
        };
        let curve =
            0.5 * (q_of(&target) - dot(&target, &p) - q_of(&quadratic) + dot(&quadratic, &p));
        let step = if curve < 0.0 {
            (-slope / (2.0 * curve)).clamp(0.0, 1.0)
        } else {
            1.0
        };
        let gained = step * slope + step * step * curve;
        let moved = step as f32;
        p.mapv_inplace(|x| x * (1.0 - moved));
        for (i, &j) in columns.iter().enumerate() {
            p[(i, j)] += moved;
        }
        Zip::from(&mut quadratic)
            .and(&target)
            .par_for_each(|a, &b| *a += moved * (b - *a));
        let objective = 0.5 * dot(&quadratic, &p) + dot(&problem.affinity, &p);
        if gained <= tolerance * objective.abs() {
            break;
        }
    }
    assignment::dense(p.view())
}

/// Sum of A P Bᵀ + Aᵀ P B; `times_p` gives M P.
fn gradient(
    problem: &Problem,
    turned: &[(Array2<f32>, Array2<f32>)],
    times_p: &dyn Fn(&Array2<f32>) -> Array2<f32>,
) -> Array2<f32> {
    let mut sum = Array2::zeros(problem.affinity.raw_dim());
    for ((a, b), (a_turned, b_turned)) in problem.graphs.iter().zip(turned) {
        sum += &product(times_p(a).view(), b_turned.view());
        sum += &product(times_p(a_turned).view(), b.view());
    }
    sum
}

/// M Q for the permutation that sends row i to `columns[i]`: column `columns[i]` of the result is column i of M.
fn permuted(m: &Array2<f32>, columns: &[usize]) -> Array2<f32> {
    let mut out = Array2::zeros(m.raw_dim());
    for (mut to, from) in out.rows_mut().into_iter().zip(m.rows()) {
        for (i, &j) in columns.iter().enumerate() {
            to[j] = from[i];
        }
    }
    out
}

/// Sum of products, row by row, so that threads do not show.
fn dot(a: &Array2<f32>, b: &Array2<f32>) -> f64 {
    let rows: Vec<f64> = (0..a.nrows())
        .into_par_iter()
        .map(|i| {
            let pairs = a.row(i).into_iter().zip(b.row(i));
            pairs.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
        })
        .collect();
    rows.iter().sum()
}

/// The doubly stochastic matrix nearest to exp(`logarithms`) (Sinkhorn).
pub(super) fn sinkhorn(mut logarithms: Array2<f32>, rounds: usize) -> Array2<f32> {
    let greatest = logarithms.fold(f32::NEG_INFINITY, |m, &x| m.max(x));
    logarithms.par_mapv_inplace(|x| (x - greatest).max(-80.0).exp());
    let mut p = logarithms;
    for _ in 0..rounds {
        for mut row in p.rows_mut() {
            let sum: f32 = row.sum();
            row /= sum.max(f32::MIN_POSITIVE);
        }
        let mut sums = ndarray::Array1::<f32>::zeros(p.ncols());
        for row in p.rows() {
            sums += &row;
        }
        sums.mapv_inplace(|sum| 1.0 / sum.max(f32::MIN_POSITIVE));
        for mut row in p.rows_mut() {
            row *= &sums;
        }
    }
    p
}
