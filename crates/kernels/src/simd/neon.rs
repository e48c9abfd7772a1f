//! NEON, which every 64-bit ARM processor has: 4 lanes.

#![expect(unsafe_code, reason = "instructions that not every processor has")]

use std::arch::aarch64::*;

use super::{Kernel, Simd};
use crate::Real;
use crate::poly::{self, Single};

/// Proof that the processor has them: [`run`] alone makes one.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

/// Runs a kernel, compiled with these instructions.
#[target_feature(enable = "neon")]
pub(super) fn run<K: Kernel<f32>>(kernel: K) -> K::Output {
    kernel.run(Neon(()))
}

/// Calls an intrinsic that touches no memory.
macro_rules! lanes {
    ($call:expr) => {
        // SAFETY: the processor has the instruction: a value of `Neon` proves it.
        unsafe { $call }
    };
}

// SAFETY: the type is 4 single-precision numbers side by side.
unsafe impl Simd for Neon {
    type Element = f32;
    type Vector = float32x4_t;
    const LANES: usize = 4;
    const ROWS: usize = 8;

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        lanes!(vdupq_n_f32(value))
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> float32x4_t {
        let from = &from[..Self::LANES];
        // SAFETY: as in `lanes`; the slice has as many elements as are read.
        unsafe { vld1q_f32(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, vector: float32x4_t, to: &mut [f32]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: as in `lanes`; the slice has as many elements as are written.
        unsafe { vst1q_f32(to.as_mut_ptr(), vector) }
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        lanes!(vaddq_f32(a, b))
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        lanes!(vsubq_f32(a, b))
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        lanes!(vmulq_f32(a, b))
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        lanes!(vdivq_f32(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        lanes!(vfmaq_f32(c, a, b))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        lanes!(vfmsq_f32(c, a, b))
    }
    #[inline(always)]
    fn mul_sub(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        lanes!(vfmaq_f32(vnegq_f32(c), a, b))
    }
    #[inline(always)]
    fn sqrt(self, x: float32x4_t) -> float32x4_t {
        lanes!(vsqrtq_f32(x))
    }
    #[inline(always)]
    fn abs(self, x: float32x4_t) -> float32x4_t {
        lanes!(vabsq_f32(x))
    }
    #[inline(always)]
    fn at_least(self, x: float32x4_t, bound: float32x4_t) -> float32x4_t {
        lanes!(vmaxq_f32(bound, x))
    }
    #[inline(always)]
    fn at_most(self, x: float32x4_t, bound: float32x4_t) -> float32x4_t {
        lanes!(vminq_f32(bound, x))
    }
    #[inline(always)]
    fn all_within(self, x: float32x4_t, bound: float32x4_t) -> bool {
        lanes!(vminvq_u32(vcleq_f32(x, bound)) != 0)
    }
    #[inline(always)]
    fn if_negative(self, x: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
        lanes!(vbslq_f32(vcltzq_f32(x), yes, no))
    }
    #[inline(always)]
    fn flushed(self, x: float32x4_t) -> float32x4_t {
        let (size, tiny) = (self.abs(x), self.splat(f32::TINY));
        lanes!({
            let small = vcltq_f32(size, tiny);
            vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), small))
        })
    }
    #[inline(always)]
    fn exp(self, x: float32x4_t) -> float32x4_t {
        poly::exp(self, x)
    }
    #[inline(always)]
    fn decay<const BOUNDED: bool>(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        poly::decay::<_, BOUNDED>(self, a, b)
    }
    #[inline(always)]
    fn ln_1p(self, x: float32x4_t) -> float32x4_t {
        poly::ln_1p(self, x)
    }
    #[inline(always)]
    fn total(self, x: float32x4_t) -> f32 {
        lanes!(vaddvq_f32(x))
    }
}

impl Single for Neon {
    #[inline(always)]
    fn raised(self, p: float32x4_t, shifted: float32x4_t) -> float32x4_t {
        lanes!({
            let exponent = vshlq_n_u32::<23>(vreinterpretq_u32_f32(shifted));
            vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(p), exponent))
        })
    }
}
