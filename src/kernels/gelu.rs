//! GELU by the error function, `x Φ(x)`, and its derivative (Hendrycks and Gimpel 2016).
//!
//! erf by the rational approximation 7.1.26 of Abramowitz and Stegun (1964), absolute error 1.5e-7. Its
//! exponential `e^(-x²/2)` serves the density in the derivative too.

use multiversion::multiversion;

use super::vector;

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

/// `out = gelu(x)`, element by element.
#[multiversion(targets = "simd")]
pub fn forward(x: &[f32], out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = x * normal(x).0;
    }
}

/// `gradient *= gelu'(x)`, element by element.
#[multiversion(targets = "simd")]
pub fn backward(x: &[f32], gradient: &mut [f32]) {
    for (gradient, &x) in gradient.iter_mut().zip(x) {
        let (cdf, density) = normal(x);
        *gradient *= x.mul_add(density, cdf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    #[test]
    fn value_and_derivative_are_within_1e_6() {
        let x: Vec<f32> = (-8000..=8000).map(|i| i as f32 / 1000.0).collect();
        let (mut value, mut derivative) = (vec![0.0; x.len()], vec![1.0; x.len()]);
        forward(&x, &mut value);
        backward(&x, &mut derivative);
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
