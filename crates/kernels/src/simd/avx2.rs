//! AVX2 with fused multiply-add: 8 lanes.

#![expect(unsafe_code, reason = "instructions that not every processor has")]

use std::arch::x86_64::*;

use super::{Kernel, Simd};
use crate::Real;
use crate::poly::{self, Single};

/// Proof that the processor has them: [`run`] alone makes one.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// Runs a kernel, compiled with these instructions.
#[target_feature(enable = "avx2,fma")]
pub(super) fn run<K: Kernel<f32>>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

/// Calls an intrinsic that touches no memory.
macro_rules! lanes {
    ($call:expr) => {
        // SAFETY: the processor has the instruction: a value of `Avx2` proves it.
        unsafe { $call }
    };
}

// SAFETY: the type is 8 single-precision numbers side by side.
unsafe impl Simd for Avx2 {
    type Element = f32;
    type Vector = __m256;
    const LANES: usize = 8;
    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        lanes!(_mm256_set1_ps(value))
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> __m256 {
        let from = &from[..Self::LANES];
        // SAFETY: as in `lanes`; the slice has as many elements as are read.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, vector: __m256, to: &mut [f32]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: as in `lanes`; the slice has as many elements as are written.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), vector) }
    }
    #[inline(always)]
    fn prefetch(self, from: &[f32]) {
        lanes!(_mm_prefetch::<_MM_HINT_T0>(from.as_ptr().cast()));
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        lanes!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        lanes!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        lanes!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        lanes!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        lanes!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        lanes!(_mm256_fnmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn mul_sub(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        lanes!(_mm256_fmsub_ps(a, b, c))
    }
    #[inline(always)]
    fn sqrt(self, x: __m256) -> __m256 {
        lanes!(_mm256_sqrt_ps(x))
    }
    #[inline(always)]
    fn abs(self, x: __m256) -> __m256 {
        lanes!(_mm256_andnot_ps(_mm256_set1_ps(-0.0), x))
    }
    #[inline(always)]
    fn at_least(self, x: __m256, bound: __m256) -> __m256 {
        // The instruction returns its second operand where one is no number.
        lanes!(_mm256_max_ps(bound, x))
    }
    #[inline(always)]
    fn at_most(self, x: __m256, bound: __m256) -> __m256 {
        lanes!(_mm256_min_ps(bound, x))
    }
    #[inline(always)]
    fn all_within(self, x: __m256, bound: __m256) -> bool {
        // A sign bit for each lane.
        lanes!(_mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(x, bound)) == 0xff)
    }
    #[inline(always)]
    fn if_negative(self, x: __m256, yes: __m256, no: __m256) -> __m256 {
        // The sign bit decides.
        lanes!(_mm256_blendv_ps(no, yes, x))
    }
    #[inline(always)]
    fn flushed(self, x: __m256) -> __m256 {
        let (size, tiny) = (self.abs(x), self.splat(f32::TINY));
        lanes!(_mm256_and_ps(x, _mm256_cmp_ps::<_CMP_NLT_UQ>(size, tiny)))
    }
    #[inline(always)]
    fn exp(self, x: __m256) -> __m256 {
        poly::exp(self, x)
    }
    #[inline(always)]
    fn decay<const BOUNDED: bool>(self, a: __m256, b: __m256) -> __m256 {
        poly::decay::<_, BOUNDED>(self, a, b)
    }
    #[inline(always)]
    fn ln_1p(self, x: __m256) -> __m256 {
        poly::ln_1p(self, x)
    }
    #[inline(always)]
    fn total(self, x: __m256) -> f32 {
        lanes!({
            let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        })
    }
}

impl Single for Avx2 {
    #[inline(always)]
    fn raised(self, p: __m256, shifted: __m256) -> __m256 {
        lanes!({
            let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent))
        })
    }
}
