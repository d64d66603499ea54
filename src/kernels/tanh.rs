//! The hyperbolic tangent and its derivative.
//!
//! `(1 - t) / (1 + t)` with `t = e^(-2|x|)`; near 0, where that loses digits, the Taylor series.

use multiversion::multiversion;

use super::vector;

/// Of one number.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    const NEAR: f32 = 0.35; // the first term left out is 1e-8 of x here
    let square = x * x;
    let mut series = -1382.0f32 / 155_925.0;
    for coefficient in [62.0 / 2835.0, -17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0, 1.0f32] {
        series = series.mul_add(square, coefficient);
    }
    let t = vector::exp(-2.0 * x.abs());
    let far = ((1.0 - t) / (1.0 + t)).copysign(x);
    if x.abs() < NEAR { x * series } else { far }
}

/// `x = tanh(x)`, element by element.
#[multiversion(targets = "simd")]
pub fn forward(x: &mut [f32]) {
    for x in x {
        *x = tanh(*x);
    }
}

/// From the outputs y: `gradient *= 1 - y²`, element by element.
#[multiversion(targets = "simd")]
pub fn backward(y: &[f32], gradient: &mut [f32]) {
    for (gradient, &y) in gradient.iter_mut().zip(y) {
        *gradient *= y.mul_add(-y, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    #[test]
    fn is_within_a_few_units_of_the_last_place_everywhere() {
        let x: Vec<f32> = (-200_000..=200_000).map(|i| i as f32 / 10_000.0).collect();
        let mut y = x.clone();
        forward(&mut y);
        for (x, y) in x.iter().zip(&y) {
            let exact = f64::from(*x).tanh();
            let error = (f64::from(*y) - exact).abs();
            assert!(error <= 3e-7 * exact.abs(), "tanh({x}): {y}");
        }
        let mut ends = [f32::INFINITY, f32::NEG_INFINITY, -0.0];
        forward(&mut ends);
        assert_eq!(ends, [1.0, -1.0, 0.0]);
        let mut nothing = [f32::NAN];
        forward(&mut nothing);
        assert!(nothing[0].is_nan());
    }

    #[test]
    fn backward_equals_central_differences() {
        let x: Vec<f32> = naive::values(20, 1).iter().map(|x| 3.0 * x).collect();
        let mut y = x.clone();
        forward(&mut y);
        let mut gradient = vec![1.0; x.len()];
        backward(&y, &mut gradient);
        let sum = |x: &[f32]| x.iter().map(|&x| f64::from(x).tanh()).sum::<f64>();
        naive::assert_close(&gradient, &naive::gradient(&x, 1e-2, sum), 1e-4);
    }
}
