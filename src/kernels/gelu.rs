//! GELU, and its derivative (Hendrycks and Gimpel 2016): `x Φ(x)` by the error function, or the authors' approximation by the
//! hyperbolic tangent, `x / 2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`. The two differ by up to 5e-4.
//!
//! erf by the rational approximation 7.1.26 of Abramowitz and Stegun (1964), absolute error 1.5e-7. Its
//! exponential `e^(-x²/2)` serves the density in the derivative too.

use multiversion::multiversion;

use super::tanh::tanh;
use super::vector;

/// Which of the two forms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gelu {
    /// By the error function.
    #[default]
    Erf,
    /// By the hyperbolic tangent.
    Tanh,
}

impl Gelu {
    /// `out = gelu(x)`, element by element.
    pub fn forward(self, x: &[f32], out: &mut [f32]) {
        match self {
            Self::Erf => forward_erf(x, out),
            Self::Tanh => forward_tanh(x, out),
        }
    }

    /// `gradient *= gelu'(x)`, element by element.
    pub fn backward(self, x: &[f32], gradient: &mut [f32]) {
        match self {
            Self::Erf => backward_erf(x, gradient),
            Self::Tanh => backward_tanh(x, gradient),
        }
    }
}

/// Φ(x) and φ(x) of the standard normal distribution.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const P: f32 = 0.327_591_1;
    const A: [f32; 5] = [
        1.061_405_4,
        -1.453_152,
        1.421_413_7,
        -0.284_496_74,
        0.254_829_6,
    ];
    const DENSITY_AT_ZERO: f32 = 0.398_942_3; // 1 / sqrt(2 pi)
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / P.mul_add(z, 1.0);
    let gauss = vector::exp(-z * z);
    let mut series = 0.0f32;
    for a in A {
        series = series.mul_add(t, a);
    }
    let upper_tail = 0.5 * series * t * gauss; // P(X > |x|)
    let cdf = if x < 0.0 {
        upper_tail
    } else {
        1.0 - upper_tail
    };
    (cdf, DENSITY_AT_ZERO * gauss)
}

#[multiversion(targets = "simd")]
fn forward_erf(x: &[f32], out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = x * normal(x).0;
    }
}

#[multiversion(targets = "simd")]
fn backward_erf(x: &[f32], gradient: &mut [f32]) {
    for (gradient, &x) in gradient.iter_mut().zip(x) {
        let (cdf, density) = normal(x);
        *gradient *= x.mul_add(density, cdf);
    }
}

/// √(2/π)
const INNER: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// The hyperbolic tangent of the approximation.
#[inline(always)]
fn inner_tanh(x: f32) -> f32 {
    tanh(INNER * x * (CUBIC * x).mul_add(x, 1.0))
}

#[multiversion(targets = "simd")]
fn forward_tanh(x: &[f32], out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = 0.5 * x * (1.0 + inner_tanh(x));
    }
}

#[multiversion(targets = "simd")]
fn backward_tanh(x: &[f32], gradient: &mut [f32]) {
    for (gradient, &x) in gradient.iter_mut().zip(x) {
        let t = inner_tanh(x);
        let slope = INNER * (3.0 * CUBIC * x).mul_add(x, 1.0) * t.mul_add(-t, 1.0);
        *gradient *= 0.5 * x.mul_add(slope, 1.0 + t);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    #[test]
    fn the_form_by_tanh_and_its_derivative_are_within_1e_6() {
        let x: Vec<f32> = (-8000..=8000).map(|i| i as f32 / 1000.0).collect();
        let (mut value, mut derivative) = (vec![0.0; x.len()], vec![1.0; x.len()]);
        Gelu::Tanh.forward(&x, &mut value);
        Gelu::Tanh.backward(&x, &mut derivative);
        let exact = |x: f64| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        };
        for (i, &x) in x.iter().enumerate() {
            let x = f64::from(x);
            let error = (f64::from(value[i]) - exact(x)).abs();
            assert!(error < 1e-6, "gelu({x}) = {}", value[i]);
            let slope = (exact(x + 1e-5) - exact(x - 1e-5)) / 2e-5;
            let error = (f64::from(derivative[i]) - slope).abs();
            assert!(error < 2e-6, "gelu'({x}) = {}", derivative[i]);
        }
        // They are two functions.
        let (mut by_erf, mut by_tanh) = ([0.0], [0.0]);
        Gelu::Erf.forward(&[2.7], &mut by_erf);
        Gelu::Tanh.forward(&[2.7], &mut by_tanh);
        assert!((by_erf[0] - by_tanh[0]).abs() > 1e-4);
    }

    #[test]
    fn value_and_derivative_are_within_1e_6() {
        let x: Vec<f32> = (-8000..=8000).map(|i| i as f32 / 1000.0).collect();
        let (mut value, mut derivative) = (vec![0.0; x.len()], vec![1.0; x.len()]);
        Gelu::Erf.forward(&x, &mut value);
        Gelu::Erf.backward(&x, &mut derivative);
        for (i, &x) in x.iter().enumerate() {
            let x = f64::from(x);
            let cdf = 0.5 * (1.0 + naive::erf(x / 2f64.sqrt()));
            let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!(
                (f64::from(value[i]) - x * cdf).abs() < 1e-6,
                "gelu({x}) = {}",
                value[i]
            );
            assert!(
                (f64::from(derivative[i]) - cdf - x * density).abs() < 1e-6,
                "gelu'({x})"
            );
        }
    }
}
