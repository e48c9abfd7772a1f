//! Linear layers on row-major matrices; weights are (outputs, inputs).

use mambafleet_kernels::gemm::{MatMut, MatRef, Packed, Target, gemm};
use mambafleet_kernels::{Isa, Real};

/// A weight in the orders that products read it in.
#[derive(Debug)]
pub(crate) struct Linear<T> {
    forward: Packed<T>,
    back: Packed<T>,
}

impl<T: Real> Linear<T> {
    /// Room for a weight, all zero.
    pub(crate) fn new(isa: Isa, outputs: usize, inputs: usize) -> Self {
        Self { forward: Packed::new(isa, inputs, outputs), back: Packed::new(isa, outputs, inputs) }
    }

    /// Takes over the weight.
    pub(crate) fn set(&mut self, weight: &[T]) {
        let (inputs, outputs) = (self.forward.rows(), self.back.rows());
        let weight = MatRef::new(weight, outputs, inputs);
        self.forward.set(weight.t());
        self.back.set(weight);
    }

    /// `y = x weight^T`, or added to `y`. `x` is (rows, inputs), `y` (rows, outputs).
    pub(crate) fn apply(&self, target: Target, x: MatRef<'_, T>, y: MatMut<'_, T>) {
        self.forward.multiply(target, y, x);
    }

    /// `y = x weight^T + bias`.
    pub(crate) fn apply_with_bias(&self, x: MatRef<'_, T>, bias: &[T], y: &mut [T]) {
        for row in y.chunks_exact_mut(bias.len()) {
            row.copy_from_slice(bias);
        }
        let rows = x.rows();
        self.apply(Target::Add, x, MatMut::new(y, rows, bias.len()));
    }

    /// `dx = dy weight`, or added to `dx`.
    pub(crate) fn back(&self, target: Target, dy: MatRef<'_, T>, dx: MatMut<'_, T>) {
        self.back.multiply(target, dx, dy);
    }
}

/// Adds `dy^T x` to the gradient of the weight.
pub(crate) fn add_weight<T: Real>(
    isa: Isa,
    dy: MatRef<'_, T>,
    x: MatRef<'_, T>,
    dweight: &mut [T],
) {
    let (inputs, outputs) = (x.cols(), dy.cols());
    gemm(isa, Target::Add, MatMut::new(dweight, outputs, inputs), dy.t(), x);
}

/// Adds the sums of the columns of `dy` to the gradient of the bias.
pub(crate) fn add_bias<T: Real>(dy: &[T], dbias: &mut [T]) {
    for row in dy.chunks_exact(dbias.len()) {
        for (sum, grad) in dbias.iter_mut().zip(row) {
            *sum += *grad;
        }
    }
}
