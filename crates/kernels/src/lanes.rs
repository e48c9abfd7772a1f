//! Small fixed-size groups of numbers that compilers keep in vector registers.

use crate::Real;

/// Numbers in a group.
pub const LANES: usize = 8;

/// A group of numbers that are computed side by side.
pub type Lanes<T> = [T; LANES];

/// The group at the start of `source`; lanes beyond its end are zero.
#[inline(always)]
pub(crate) fn load<T: Real>(source: &[T]) -> Lanes<T> {
    if let Some(full) = source.first_chunk() {
        return *full;
    }
    let mut group = [T::ZERO; LANES];
    group[..source.len()].copy_from_slice(source);
    group
}

/// Writes a group to the start of `target`; lanes beyond its end are dropped.
#[inline(always)]
pub(crate) fn store<T: Real>(target: &mut [T], group: Lanes<T>) {
    if let Some(full) = target.first_chunk_mut() {
        *full = group;
    } else {
        let width = target.len();
        target.copy_from_slice(&group[..width]);
    }
}

/// Adds a group to the start of `target`; lanes beyond its end are dropped.
#[inline(always)]
pub(crate) fn store_added<T: Real>(target: &mut [T], group: Lanes<T>) {
    let sum = zip(load(target), group, |a, b| a + b);
    store(target, sum);
}

/// `f` of each pair.
#[inline(always)]
pub(crate) fn zip<T: Real>(a: Lanes<T>, b: Lanes<T>, f: impl Fn(T, T) -> T) -> Lanes<T> {
    std::array::from_fn(|i| f(a[i], b[i]))
}

/// `sum += a * b`, lane by lane.
#[inline(always)]
pub(crate) fn add_product<T: Real>(sum: &mut Lanes<T>, a: Lanes<T>, b: Lanes<T>) {
    for i in 0..LANES {
        sum[i] += a[i] * b[i];
    }
}

/// Sum over the lanes, in a fixed order.
#[inline(always)]
pub(crate) fn total<T: Real>(g: Lanes<T>) -> T {
    ((g[0] + g[4]) + (g[2] + g[6])) + ((g[1] + g[5]) + (g[3] + g[7]))
}

/// Sum of the products of `f`'s pairs of values for each index in `a` and `b`.
#[inline(always)]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut sum = [T::ZERO; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        add_product(&mut sum, load(a), load(b));
    }
    total(sum)
}
