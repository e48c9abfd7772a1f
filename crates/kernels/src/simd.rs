//! Vectors of each instruction set behind one trait, and how a kernel written over it comes to
//! run with the instructions of the one chosen.
//!
//! A kernel is a [`Kernel`]: its arguments as a struct, its algorithm once, generic over
//! [`Simd`]. Everything from [`Kernel::run`] down is inlined into one function per instruction
//! set that is compiled with its instructions ([`Dispatch::dispatch`]).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

pub(crate) use portable::Portable;

use crate::Real;
use crate::isa::{Isa, Kind};

/// An algorithm with its arguments.
pub trait Kernel<T> {
    /// What it returns.
    type Output;

    /// Runs it. Implementations are inlined, so that they get the instructions of `S`.
    fn run<S: Simd<Element = T>>(self, simd: S) -> Self::Output;
}

/// Operations on vectors. A value of the implementing type is proof that the processor has the
/// instructions.
///
/// # Safety
/// `Vector` must be [`Simd::LANES`] elements side by side and nothing else.
#[expect(unsafe_code, reason = "the layout of vectors is promised")]
pub unsafe trait Simd: Copy {
    /// What a lane holds.
    type Element: Real;
    /// A vector.
    type Vector: Copy;
    /// Elements of a vector.
    const LANES: usize;
    /// Rows of a matrix product that are summed side by side, two vectors each: as many as there
    /// are registers for, at most 12.
    const ROWS: usize;

    /// A vector of the same value in each lane.
    fn splat(self, value: Self::Element) -> Self::Vector;
    /// The first [`Simd::LANES`] elements of a slice that has at least as many.
    fn load(self, from: &[Self::Element]) -> Self::Vector;
    /// Writes the first [`Simd::LANES`] elements of a slice that has at least as many.
    fn store(self, vector: Self::Vector, to: &mut [Self::Element]);
    /// Asks for the memory at the start of a slice, which will be needed soon.
    #[inline(always)]
    fn prefetch(self, _from: &[Self::Element]) {}
    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b`.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a / b`.
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once where the processor can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `c - a * b`, rounded once where the processor can.
    fn neg_mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a * b - c`, rounded once where the processor can.
    fn mul_sub(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Square root.
    fn sqrt(self, x: Self::Vector) -> Self::Vector;
    /// Magnitude.
    fn abs(self, x: Self::Vector) -> Self::Vector;
    /// The larger of both; where `x` is no number, it stays so.
    fn at_least(self, x: Self::Vector, bound: Self::Vector) -> Self::Vector;
    /// The smaller of both; where `x` is no number, it stays so.
    fn at_most(self, x: Self::Vector, bound: Self::Vector) -> Self::Vector;
    /// Whether no lane of `x` is above that of `bound`, or no number.
    fn all_within(self, x: Self::Vector, bound: Self::Vector) -> bool;
    /// `yes` where `x` is negative, else `no`.
    fn if_negative(self, x: Self::Vector, yes: Self::Vector, no: Self::Vector) -> Self::Vector;
    /// Zero in place of magnitudes below [`Real::TINY`]; what is no number stays so.
    fn flushed(self, x: Self::Vector) -> Self::Vector;
    /// [`Real::exp`].
    fn exp(self, x: Self::Vector) -> Self::Vector;
    /// [`Real::decay`] of `a * b`; with `BOUNDED` no product may be below [`Real::DECAY_MIN`].
    fn decay<const BOUNDED: bool>(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// [`Real::ln_1p`].
    fn ln_1p(self, x: Self::Vector) -> Self::Vector;
    /// Sum of the lanes, by halves.
    fn total(self, x: Self::Vector) -> Self::Element;

    /// All lanes zero.
    #[inline(always)]
    fn zero(self) -> Self::Vector {
        self.splat(Self::Element::ZERO)
    }

    /// The vector at the start of `from`; lanes beyond its end are zero.
    #[inline(always)]
    fn load_part(self, from: &[Self::Element]) -> Self::Vector {
        if from.len() >= Self::LANES {
            return self.load(from);
        }
        let mut room = [Self::Element::ZERO; MAX_LANES];
        room[..from.len()].copy_from_slice(from);
        self.load(&room)
    }

    /// Writes a vector to the start of `to`; lanes beyond its end are dropped.
    #[inline(always)]
    fn store_part(self, vector: Self::Vector, to: &mut [Self::Element]) {
        if to.len() >= Self::LANES {
            return self.store(vector, to);
        }
        let mut room = [Self::Element::ZERO; MAX_LANES];
        self.store(vector, &mut room);
        let len = to.len();
        to.copy_from_slice(&room[..len]);
    }

    /// The pair of vectors at the start of `from`; lanes beyond its end are zero.
    #[inline(always)]
    fn load_pair(self, from: &[Self::Element]) -> Pair<Self> {
        if from.len() == 2 * Self::LANES {
            return [self.load(from), self.load(&from[Self::LANES..])];
        }
        let (head, tail) = from.split_at(from.len().min(Self::LANES));
        [self.load_part(head), self.load_part(tail)]
    }

    /// Writes a pair of vectors to the start of `to`; lanes beyond its end are dropped.
    #[inline(always)]
    fn store_pair(self, pair: Pair<Self>, to: &mut [Self::Element]) {
        if to.len() == 2 * Self::LANES {
            self.store(pair[0], to);
            return self.store(pair[1], &mut to[Self::LANES..]);
        }
        let (head, tail) = to.split_at_mut(to.len().min(Self::LANES));
        self.store_part(pair[0], head);
        self.store_part(pair[1], tail);
    }

    /// A slice from a [`crate::Buffer`] as pairs of vectors.
    ///
    /// # Panics
    /// When the slice is not aligned to a pair or no whole number of pairs.
    #[inline(always)]
    #[expect(unsafe_code, reason = "plain numbers seen as vectors of the same numbers")]
    fn pairs(self, from: &[Self::Element]) -> &[Pair<Self>] {
        // SAFETY: by the trait's contract a vector is so many elements and nothing else, all bit
        // patterns of which are valid both ways, and an array of two is twice that.
        let (head, pairs, tail) = unsafe { from.align_to::<Pair<Self>>() };
        assert!(head.is_empty() && tail.is_empty());
        pairs
    }

    /// The same to be written.
    ///
    /// # Panics
    /// When the slice is not aligned to a pair or no whole number of pairs.
    #[inline(always)]
    #[expect(unsafe_code, reason = "plain numbers seen as vectors of the same numbers")]
    fn pairs_mut(self, from: &mut [Self::Element]) -> &mut [Pair<Self>] {
        // SAFETY: as above; the slice is borrowed exclusively, and so are the pairs.
        let (head, pairs, tail) = unsafe { from.align_to_mut::<Pair<Self>>() };
        assert!(head.is_empty() && tail.is_empty());
        pairs
    }
}

/// Element-wise work on slices of one length: `[inputs], [targets], [new content of each target]`.
/// In the last, the names of the slices stand for a vector of each. A macro, because a closure may
/// end up as a function of its own, compiled without the instructions.
macro_rules! each {
    ($s:expr, [$($input:ident),*], [$($target:ident),+], $values:expr) => {{
        let (s, lanes) = ($s, S::LANES);
        let len = [$($target.len()),+][0];
        $(let $input = &$input[..len];)*
        $(let $target = &mut $target[..len];)+
        let mut at = 0;
        while at + lanes <= len {
            let values = {
                $(let $input = s.load(&$input[at..at + lanes]);)*
                $(let $target = s.load(&$target[at..at + lanes]);)+
                $(let _ = $target;)+
                $values
            };
            for (value, target) in values.into_iter().zip([$(&mut *$target),+]) {
                s.store(value, &mut target[at..at + lanes]);
            }
            at += lanes;
        }
        if at < len {
            let values = {
                $(let $input = s.load_part(&$input[at..]);)*
                $(let $target = s.load_part(&$target[at..]);)+
                $(let _ = $target;)+
                $values
            };
            for (value, target) in values.into_iter().zip([$(&mut *$target),+]) {
                s.store_part(value, &mut target[at..]);
            }
        }
    }};
}
pub(crate) use each;

/// Two vectors side by side: what the scan and matrix products take at once, so that what all
/// columns share is fetched half as often.
pub(crate) type Pair<S> = [<S as Simd>::Vector; 2];

/// The most lanes that a vector has.
pub(crate) const MAX_LANES: usize = 16;

/// An element type whose kernels run on some instruction set.
pub trait Dispatch: Sized {
    /// Runs `kernel` with the instructions of `isa`.
    fn dispatch<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Output;

    /// Lanes of a vector of this type on `isa`.
    fn lanes(isa: Isa) -> usize {
        Self::dispatch(isa, Lanes)
    }
}

/// Asks for the number of lanes.
struct Lanes;

impl<T> Kernel<T> for Lanes {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd<Element = T>>(self, _simd: S) -> usize {
        S::LANES
    }
}

impl Dispatch for f32 {
    #[expect(unsafe_code, reason = "calls functions compiled for an instruction set")]
    fn dispatch<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Output {
        match isa.0 {
            Kind::Portable => kernel.run(Portable::<f32, { portable::LANES }>::NEW),
            // SAFETY: an `Isa` of this kind exists only where the processor was found to have
            // all that the function is compiled for.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { avx2::run(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { avx512::run(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => unsafe { neon::run(kernel) },
        }
    }
}

/// Double precision checks gradients: plain code does.
impl Dispatch for f64 {
    fn dispatch<K: Kernel<Self>>(_isa: Isa, kernel: K) -> K::Output {
        kernel.run(Portable::<f64, { portable::LANES }>::NEW)
    }
}
