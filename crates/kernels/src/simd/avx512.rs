//! AVX-512, of which the foundation suffices: 16 lanes.

#![expect(unsafe_code, reason = "instructions that not every processor has")]

use std::arch::x86_64::*;

use super::{Kernel, Simd};
use crate::Real;
use crate::poly::{self, Single};

/// Proof that the processor has them: [`run`] alone makes one.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

/// Runs a kernel, compiled with these instructions.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) fn run<K: Kernel<f32>>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

/// Calls an intrinsic that touches no memory.
macro_rules! lanes {
    ($call:expr) => {
        // SAFETY: the processor has the instruction: a value of `Avx512` proves it.
        unsafe { $call }
    };
}

// SAFETY: the type is 16 single-precision numbers side by side.
unsafe impl Simd for Avx512 {
    type Element = f32;
    type Vector = __m512;
    const LANES: usize = 16;
    const ROWS: usize = 12;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        lanes!(_mm512_set1_ps(value))
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> __m512 {
        let from = &from[..Self::LANES];
        // SAFETY: as in `lanes`; the slice has as many elements as are read.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, vector: __m512, to: &mut [f32]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: as in `lanes`; the slice has as many elements as are written.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), vector) }
    }
    #[inline(always)]
    fn prefetch(self, from: &[f32]) {
        lanes!(_mm_prefetch::<_MM_HINT_T0>(from.as_ptr().cast()));
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        lanes!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        lanes!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        lanes!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        lanes!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        lanes!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        lanes!(_mm512_fnmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn mul_sub(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        lanes!(_mm512_fmsub_ps(a, b, c))
    }
    #[inline(always)]
    fn sqrt(self, x: __m512) -> __m512 {
        lanes!(_mm512_sqrt_ps(x))
    }
    #[inline(always)]
    fn abs(self, x: __m512) -> __m512 {
        lanes!(_mm512_abs_ps(x))
    }
    #[inline(always)]
    fn at_least(self, x: __m512, bound: __m512) -> __m512 {
        // The instruction returns its second operand where one is no number.
        lanes!(_mm512_max_ps(bound, x))
    }
    #[inline(always)]
    fn at_most(self, x: __m512, bound: __m512) -> __m512 {
        lanes!(_mm512_min_ps(bound, x))
    }
    #[inline(always)]
    fn all_within(self, x: __m512, bound: __m512) -> bool {
        lanes!(_mm512_cmp_ps_mask::<_CMP_LE_OQ>(x, bound) == 0xffff)
    }
    #[inline(always)]
    fn if_negative(self, x: __m512, yes: __m512, no: __m512) -> __m512 {
        lanes!({
            let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps());
            _mm512_mask_blend_ps(negative, no, yes)
        })
    }
    #[inline(always)]
    fn flushed(self, x: __m512) -> __m512 {
        let (size, tiny) = (self.abs(x), self.splat(f32::TINY));
        lanes!(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(size, tiny), x))
    }
    #[inline(always)]
    fn exp(self, x: __m512) -> __m512 {
        poly::exp(self, x)
    }
    #[inline(always)]
    fn decay<const BOUNDED: bool>(self, a: __m512, b: __m512) -> __m512 {
        poly::decay::<_, BOUNDED>(self, a, b)
    }
    #[inline(always)]
    fn ln_1p(self, x: __m512) -> __m512 {
        poly::ln_1p(self, x)
    }
    #[inline(always)]
    fn total(self, x: __m512) -> f32 {
        lanes!(_mm512_reduce_add_ps(x))
    }
}

impl Single for Avx512 {
    #[inline(always)]
    fn raised(self, p: __m512, shifted: __m512) -> __m512 {
        lanes!({
            let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent))
        })
    }
}
