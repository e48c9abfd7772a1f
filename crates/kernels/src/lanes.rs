//! Groups of a fixed number of values that are computed side by side.

use crate::Real;

/// Values in a group: enough that compilers keep a loop over a group as a loop, which they
/// vectorise whole. Loops over 8 are unrolled first and then vectorised in part only, at twice
/// the time for a training step.
pub const LANES: usize = 32;

/// A group of values that are computed side by side.
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

/// Sum over the lanes, by halves.
#[inline(always)]
pub(crate) fn total<T: Real>(mut group: Lanes<T>) -> T {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            group[i] += group[i + width];
        }
    }
    group[0]
}

/// Inner product of two slices of the same length.
#[inline(always)]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut sum = [T::ZERO; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        add_product(&mut sum, load(a), load(b));
    }
    total(sum)
}
