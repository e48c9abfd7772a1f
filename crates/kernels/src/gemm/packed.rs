//! The second factor of many products.

use super::product::{Factor, Product, pack};
use super::{MatMut, MatRef, Shape, Target, check};
use crate::simd::{Kernel, Simd};
use crate::{Buffer, Isa, Real};

/// A matrix as the second factor of products, in the order that they read it in: (panels, rows,
/// columns of a panel).
#[derive(Debug, Clone)]
pub struct Packed<T> {
    isa: Isa,
    rows: usize,
    cols: usize,
    panels: Buffer<T>,
}

impl<T: Real> Packed<T> {
    /// Room for a matrix of `rows` x `cols`, all zero; products with it use `isa`.
    #[must_use]
    pub fn new(isa: Isa, rows: usize, cols: usize) -> Self {
        let width = 2 * T::lanes(isa);
        Self { isa, rows, cols, panels: Buffer::zeros(cols.div_ceil(width) * rows * width) }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Takes over a matrix.
    ///
    /// # Panics
    /// When it has another size.
    pub fn set(&mut self, from: MatRef<'_, T>) {
        assert_eq!((from.rows(), from.cols()), (self.rows, self.cols), "sizes differ");
        T::dispatch(self.isa, Pack { from, panels: &mut self.panels });
    }

    /// The product of `a` and this matrix, into or added to `c`, as [`super::gemm`] makes it.
    ///
    /// # Panics
    /// When the sizes do not fit, or `c` has been transposed.
    pub fn multiply(&self, target: Target, c: MatMut<'_, T>, a: MatRef<'_, T>) {
        let (rows, cols) = (self.rows, self.cols);
        check(&c.shape, &a.shape, &Shape { rows, cols, row_stride: cols, col_stride: 1 });
        assert_eq!(c.shape.col_stride, 1, "the target has been transposed");
        T::dispatch(self.isa, Product { target, c, a, b: Factor::Panels(&self.panels) });
    }
}

struct Pack<'a, T> {
    from: MatRef<'a, T>,
    panels: &'a mut [T],
}

impl<T: Real> Kernel<T> for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, s: S) {
        let rows = self.from.rows();
        let panels = s.pairs_mut(self.panels).chunks_exact_mut(rows.max(1));
        for (index, panel) in panels.enumerate() {
            pack(s, &self.from, 0..rows, index * 2 * S::LANES, panel);
        }
    }
}
