//! The matrix product itself.

use super::{MatMut, MatRef, Shape, Target};
use crate::Real;
use crate::simd::{Kernel, Pair, Simd};

/// The most rows of B in a panel that is worked on at once: it stays in the first-level cache.
const DEPTH: usize = 128;

/// The second factor.
pub(super) enum Factor<'a, T> {
    /// A matrix.
    View(MatRef<'a, T>),
    /// Its panels one after the other, each with all rows.
    Panels(&'a [T]),
}

/// A product with a target whose rows are contiguous.
pub(super) struct Product<'a, T> {
    pub(super) target: Target,
    pub(super) c: MatMut<'a, T>,
    pub(super) a: MatRef<'a, T>,
    pub(super) b: Factor<'a, T>,
}

impl<T: Real> Kernel<T> for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<Element = T>>(mut self, s: S) {
        let depth = self.a.shape.cols;
        let mut room = [[s.zero(); 2]; DEPTH];
        for (index, column) in (0..self.c.shape.cols).step_by(2 * S::LANES).enumerate() {
            // An empty sum is a sum too.
            for first in (0..depth.max(1)).step_by(DEPTH) {
                let rows = first..depth.min(first + DEPTH);
                let panel = match &self.b {
                    Factor::Panels(all) => &s.pairs(all)[index * depth..][rows],
                    Factor::View(b) => {
                        let panel = &mut room[..rows.len()];
                        pack(s, b, rows, column, panel);
                        &*panel
                    }
                };
                let add = first > 0 || self.target == Target::Add;
                let left = self.c.shape.cols - column;
                if left > S::LANES {
                    Strip::<_, 2> { s, panel, first, column, add }.all(&self.a, &mut self.c);
                } else {
                    Strip::<_, 1> { s, panel, first, column, add }.all(&self.a, &mut self.c);
                }
            }
        }
    }
}

/// Copies the columns of `b` from `column` on, as many as a panel has, in these rows. Columns
/// beyond the last are zero.
#[inline(always)]
pub(super) fn pack<S: Simd>(
    s: S,
    b: &MatRef<'_, S::Element>,
    rows: std::ops::Range<usize>,
    column: usize,
    panel: &mut [Pair<S>],
) {
    let Shape { cols, row_stride, col_stride, .. } = b.shape;
    let end = cols.min(column + 2 * S::LANES);
    for (row, pair) in rows.zip(panel) {
        if col_stride == 1 {
            *pair = s.load_pair(&b.row(row)[column..end]);
            continue;
        }
        let mut values = [S::Element::ZERO; 2 * crate::simd::MAX_LANES];
        for (value, column) in values.iter_mut().zip(column..end) {
            *value = b.data[row * row_stride + column * col_stride];
        }
        *pair = s.load_pair(&values[..2 * S::LANES]);
    }
}

/// The part of a product that one panel makes: so many vectors wide.
struct Strip<'a, S: Simd, const WIDE: usize> {
    s: S,
    panel: &'a [Pair<S>],
    /// The panel's first row in B.
    first: usize,
    /// Its first column.
    column: usize,
    /// Whether to add to the target.
    add: bool,
}

/// Calls `$self.rows::<N>` for the number of rows, of which there are at most `S::ROWS`.
macro_rules! rows {
    ($rows:expr, $($n:literal)*, $self:ident, $args:tt) => {
        match $rows {
            $($n if $n <= S::ROWS => $self.rows::<$n> $args,)*
            _ => {}
        }
    };
}

/// Writes the sums of `$n` rows, of which there are at most twelve. Each is named by a literal: were they
/// indexed by a loop that is not unrolled, all sums would live in memory, and be stored at every step.
macro_rules! put_rows {
    ($($r:literal)*, $n:ident, $self:ident, $sums:ident, $row:ident, $c:ident) => {
        $(if $r < $n {
            $self.put($sums[$r], &mut $c.row_mut($row + $r)[$self.column..]);
        })*
    };
}

impl<T: Real, S: Simd<Element = T>, const WIDE: usize> Strip<'_, S, WIDE> {
    /// All rows of it.
    #[inline(always)]
    fn all(&self, a: &MatRef<'_, T>, c: &mut MatMut<'_, T>) {
        let rows = a.shape.rows;
        for row in (0..rows).step_by(S::ROWS) {
            rows!(S::ROWS.min(rows - row), 1 2 3 4 5 6 7 8 9 10 11 12, self, (row, a, c));
        }
    }

    /// Some rows, from `row` on. Everything is indexed by constants, so that the sums stay in
    /// registers.
    #[inline(always)]
    #[expect(unsafe_code, reason = "bounds checks would take longer than the sums")]
    #[expect(clippy::needless_range_loop, reason = "iterators move the sums to memory")]
    fn rows<const N: usize>(&self, row: usize, a: &MatRef<'_, T>, c: &mut MatMut<'_, T>) {
        let Shape { rows, cols, row_stride, col_stride } = a.shape;
        assert!(row + N <= rows && self.first + self.panel.len() <= cols);
        let s = self.s;
        // The target comes from afar while the sums are made.
        for r in 0..N {
            let target = &c.row_mut(row + r)[self.column..];
            s.prefetch(target);
            s.prefetch(&target[target.len().min(WIDE * S::LANES) - 1..]);
        }
        let mut sums = [[s.zero(); WIDE]; N];
        let mut at = row * row_stride + self.first * col_stride;
        for b in self.panel {
            for r in 0..N {
                // SAFETY: this is the offset of the element at row `row + r` and column `first`
                // plus the number of rows of the panel before. The assertion says that A has both,
                // and the constructor of views has checked that every element lies in the slice.
                let value = s.splat(unsafe { *a.data.get_unchecked(at + r * row_stride) });
                for v in 0..WIDE {
                    sums[r][v] = s.mul_add(value, b[v], sums[r][v]);
                }
            }
            at += col_stride;
        }
        put_rows!(0 1 2 3 4 5 6 7 8 9 10 11, N, self, sums, row, c);
    }

    /// Writes or adds the sums to the start of `row`.
    #[inline(always)]
    fn put(&self, sums: [S::Vector; WIDE], row: &mut [T]) {
        let s = self.s;
        if let Some(row) = row.get_mut(..WIDE * S::LANES) {
            for v in 0..WIDE {
                let part = &mut row[v * S::LANES..];
                s.store(if self.add { s.add(s.load(part), sums[v]) } else { sums[v] }, part);
            }
            return;
        }
        for (sum, part) in sums.into_iter().zip(row.chunks_mut(S::LANES)) {
            s.store_part(if self.add { s.add(s.load_part(part), sum) } else { sum }, part);
        }
    }
}
