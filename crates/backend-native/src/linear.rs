//! Linear layers on row-major matrices; weights are (outputs, inputs).

use mambafleet_kernels::Real;
use mambafleet_kernels::gemm::{MatMut, MatRef, Target, gemm};

/// `y = x weight^T`, or added to `y`. `x` is (rows, inputs), `y` (rows, outputs).
pub(crate) fn apply<T: Real>(target: Target, x: MatRef<'_, T>, weight: &[T], y: MatMut<'_, T>) {
    let (inputs, outputs) = (x.cols(), y.cols());
    gemm(target, y, x, MatRef::new(weight, outputs, inputs).t());
}

/// `y = x weight^T + bias`.
pub(crate) fn apply_with_bias<T: Real>(x: MatRef<'_, T>, weight: &[T], bias: &[T], y: &mut [T]) {
    for row in y.chunks_exact_mut(bias.len()) {
        row.copy_from_slice(bias);
    }
    let rows = x.rows();
    apply(Target::Add, x, weight, MatMut::new(y, rows, bias.len()));
}

/// `dx = dy weight`, or added to `dx`.
pub(crate) fn back<T: Real>(target: Target, dy: MatRef<'_, T>, weight: &[T], dx: MatMut<'_, T>) {
    let (inputs, outputs) = (dx.cols(), dy.cols());
    gemm(target, dx, dy, MatRef::new(weight, outputs, inputs));
}

/// Adds `dy^T x` to the gradient of the weight.
pub(crate) fn add_weight<T: Real>(dy: MatRef<'_, T>, x: MatRef<'_, T>, dweight: &mut [T]) {
    let (inputs, outputs) = (x.cols(), dy.cols());
    gemm(Target::Add, MatMut::new(dweight, outputs, inputs), dy.t(), x);
}

/// Adds the sums of the columns of `dy` to the gradient of the bias.
pub(crate) fn add_bias<T: Real>(dy: &[T], dbias: &mut [T]) {
    for row in dy.chunks_exact(dbias.len()) {
        for (sum, grad) in dbias.iter_mut().zip(row) {
            *sum += *grad;
        }
    }
}
