//! Memory for what vectors work on.

use std::ops::{Deref, DerefMut};

use crate::Real;

/// Elements of one [`Line`]: as many as the widest vector has lanes.
const LINE: usize = 16;

/// What memory is allocated by: a cache line of single precision.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line<T>([T; LINE]);

/// A slice of fixed length that starts at a cache line, so that no vector straddles two.
#[derive(Debug, Clone)]
pub struct Buffer<T> {
    lines: Vec<Line<T>>,
    len: usize,
}

impl<T: Real> Buffer<T> {
    /// `len` zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        Self { lines: vec![Line([T::ZERO; LINE]); len.div_ceil(LINE)], len }
    }
}

#[expect(unsafe_code, reason = "lines of elements seen as elements")]
impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        const { assert!(size_of::<Line<T>>() == LINE * size_of::<T>(), "lines have no gaps") };
        // SAFETY: the lines are elements one after the other without gaps, at least `len` of
        // them, all initialised.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

#[expect(unsafe_code, reason = "lines of elements seen as elements")]
impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`, which has checked the gaps; the lines are borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
