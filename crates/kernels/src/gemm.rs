//! Matrix products `C = A B` and `C += A B` on strided views.
//!
//! Each element of the product is a sum in the order of the inner index, whatever the sizes: one
//! row alone gets the same bits as among others. Views check their bounds when they are made, so
//! that calling is safe.
//!
//! B is read in panels, two vectors wide. [`gemm`] copies each panel before it uses it; where the
//! same B serves many products, [`Packed`] keeps the panels.

mod packed;
mod product;

use std::ops::Deref;

pub use packed::Packed;

use crate::{Isa, Real};
use product::{Factor, Product};

/// A view of a slice as a matrix: [`MatRef`] or [`MatMut`].
#[derive(Debug, Clone, Copy)]
pub struct Mat<D> {
    data: D,
    shape: Shape,
}

/// A matrix that is read.
pub type MatRef<'a, T> = Mat<&'a [T]>;

/// A matrix that is written.
pub type MatMut<'a, T> = Mat<&'a mut [T]>;

/// What becomes of the former content of a product's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// It is replaced, and not even read.
    Replace,
    /// The product is added to it.
    Add,
}

/// Size and strides, in elements.
#[derive(Debug, Clone, Copy)]
struct Shape {
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl Shape {
    /// Row-major, `stride` elements from row to row. Distinct positions have distinct offsets.
    fn new(len: usize, rows: usize, cols: usize, stride: usize) -> Self {
        assert!(stride >= cols, "rows of {cols} elements overlap at a stride of {stride}");
        if rows > 0 && cols > 0 {
            let end = (rows - 1).checked_mul(stride).and_then(|start| start.checked_add(cols));
            assert!(end.is_some_and(|end| end <= len), "{rows} x {cols} exceed {len} elements");
        }
        Self { rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// Where row `index` lies.
    #[inline(always)]
    fn row(&self, index: usize) -> std::ops::Range<usize> {
        assert!(index < self.rows && self.col_stride == 1, "no row {index}");
        index * self.row_stride..index * self.row_stride + self.cols
    }

    fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

impl<T, D: Deref<Target = [T]>> Mat<D> {
    /// A row-major matrix of `rows` x `cols`.
    ///
    /// # Panics
    /// When `data` is shorter than that.
    #[must_use]
    pub fn new(data: D, rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows start `stride` elements apart.
    ///
    /// # Panics
    /// When `data` is too short or `stride` is below `cols`.
    #[must_use]
    pub fn strided(data: D, rows: usize, cols: usize, stride: usize) -> Self {
        Self { shape: Shape::new(data.len(), rows, cols, stride), data }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.shape.cols
    }

    /// The same elements with rows and columns exchanged.
    #[must_use]
    pub fn t(self) -> Self {
        Self { data: self.data, shape: self.shape.transposed() }
    }
}

impl<T> MatRef<'_, T> {
    /// Row `index` of a matrix that has not been transposed.
    ///
    /// # Panics
    /// When there is no such row, or the matrix has been transposed.
    #[inline(always)]
    #[must_use]
    pub fn row(&self, index: usize) -> &[T] {
        &self.data[self.shape.row(index)]
    }
}

impl<T> MatMut<'_, T> {
    /// Row `index` of a matrix that has not been transposed.
    ///
    /// # Panics
    /// When there is no such row, or the matrix has been transposed.
    #[inline(always)]
    pub fn row_mut(&mut self, index: usize) -> &mut [T] {
        &mut self.data[self.shape.row(index)]
    }
}

/// The product of `a` (m, k) and `b` (k, n), into or added to `c` (m, n). With k = 0 it is zero.
///
/// # Panics
/// When the sizes do not fit.
pub fn gemm<T: Real>(
    isa: Isa,
    target: Target,
    c: MatMut<'_, T>,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
) {
    check(&c.shape, &a.shape, &b.shape);
    // The kernel writes rows: of a target that has been transposed those are its columns.
    let (c, a, b) = if c.shape.col_stride == 1 { (c, a, b) } else { (c.t(), b.t(), a.t()) };
    T::dispatch(isa, Product { target, c, a, b: Factor::View(b) });
}

/// Panics unless a matrix of shape `c` can hold the product of `a` and `b`.
fn check(c: &Shape, a: &Shape, b: &Shape) {
    assert_eq!(a.cols, b.rows, "inner sizes differ");
    assert_eq!((c.rows, c.cols), (a.rows, b.cols), "outer sizes differ");
}
