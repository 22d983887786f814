//! AVX2: blocks of eight rows as `arranged` lays them out, taken apart. A register of codes holds
//! four neighbouring columns of each of the eight rows, four bytes a row; a register of scales a
//! number of each row. Knows formats, not what is computed with them.
//!
//! All of it is inlined into kernels that are compiled for these instructions.

use super::fast::codes::{E2M1, E2M1_ZERO};
use crate::quant::q4_k;
use bytemuck::{Pod, Zeroable};
use std::arch::x86_64::*;

/// That the machine has AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// # Safety
    /// The machine has them.
    #[inline(always)]
    // SAFETY: whoever calls it vouches for the machine.
    pub(super) unsafe fn new() -> Avx2 {
        Avx2(())
    }
}

/// Eight blocks of a format side by side. A format's block may be several of ours, and some of
/// these may share their bytes: they are parts of one base. Codes are unsigned, see `Coded`, but
/// for wide ones, which are signed.
pub(super) trait Eights: Pod {
    const BASES: usize;
    const PARTS: usize;
    /// Scales of a block.
    const HALVES: usize;
    const WIDE: bool = false;
    const MINS: bool = false;
    /// Whether `floats` says what codes stand for.
    const FLOATS: bool = false;
    /// What is worked out once.
    type Scales: Copy;
    fn scales(&self, on: Avx2) -> Self::Scales;
    fn scale(on: Avx2, scales: &Self::Scales, block: usize, half: usize) -> __m256;
    /// What is to be subtracted for each activation.
    fn min(_: Avx2, _: &Self::Scales, _: usize) -> __m256 {
        // SAFETY: as the argument says.
        unsafe { _mm256_setzero_ps() }
    }
    /// Columns 4·k to 4·k + 3 of block `PARTS·base + PART`.
    fn codes<const PART: usize>(&self, on: Avx2, base: usize, k: usize) -> __m256i;
    /// The same codes at the top of seven bits.
    fn raised<const PART: usize>(&self, on: Avx2, base: usize, k: usize) -> __m256i {
        self.codes::<PART>(on, base, k)
    }
    /// Third and fourth bytes of the floats that these codes, less their zero, are.
    fn floats<const PART: usize>(&self, on: Avx2, base: usize, k: usize) -> [__m256i; 2] {
        [self.codes::<PART>(on, base, k); 2]
    }
}

type Register = [u8; 32];

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(register: &Register) -> __m256i {
    // SAFETY: 32 bytes.
    unsafe { _mm256_loadu_si256(register.as_ptr().cast()) }
}

/// Those bits of each byte that stand in the mask when they are so many places further up.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn bits(bytes: __m256i, up: i32, mask: i32) -> __m256i {
    // Counts that are known when this is compiled.
    let moved = if up >= 0 {
        _mm256_sll_epi16(bytes, _mm_cvtsi32_si128(up))
    } else {
        _mm256_srl_epi16(bytes, _mm_cvtsi32_si128(-up))
    };
    _mm256_and_si256(moved, _mm256_set1_epi8(mask as i8))
}

/// One half of each byte, so many places up.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn nibbles(register: &Register, high: bool, up: i32) -> __m256i {
    bits(load(register), if high { up - 4 } else { up }, 15 << up)
}

/// Bit `k` of each byte as a code's fifth, so many places up.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fifth(bytes: __m256i, k: usize, up: i32) -> __m256i {
    bits(bytes, 4 + up - k as i32, 16 << up)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halfs(stored: &[u8; 16]) -> __m256 {
    // SAFETY: 16 bytes, and the machine has F16C.
    unsafe { _mm256_cvtph_ps(_mm_loadu_si128(stored.as_ptr().cast())) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn eight(values: &[f32; 8]) -> __m256 {
    // SAFETY: eight floats.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

macro_rules! one_scale {
    () => {
        type Scales = __m256;

        #[inline(always)]
        fn scales(&self, _: Avx2) -> __m256 {
            // SAFETY: as the argument says.
            unsafe { halfs(&self.d) }
        }

        #[inline(always)]
        fn scale(_: Avx2, scales: &__m256, _: usize, _: usize) -> __m256 {
            *scales
        }
    };
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q4_0 {
    d: [u8; 16],
    qs: [Register; 4],
}

impl Eights for Q4_0 {
    const BASES: usize = 1;
    const PARTS: usize = 1;
    const HALVES: usize = 1;
    one_scale!();

    #[inline(always)]
    fn codes<const PART: usize>(&self, _: Avx2, _: usize, k: usize) -> __m256i {
        // SAFETY: as the argument says.
        unsafe { nibbles(&self.qs[k % 4], k >= 4, 0) }
    }
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q5_0 {
    d: [u8; 16],
    qh: Register,
    qs: [Register; 4],
}

impl Eights for Q5_0 {
    const BASES: usize = 1;
    const PARTS: usize = 1;
    const HALVES: usize = 1;
    one_scale!();

    #[inline(always)]
    fn codes<const PART: usize>(&self, _: Avx2, _: usize, k: usize) -> __m256i {
        // SAFETY: as the argument says.
        unsafe {
            let fifth = fifth(load(&self.qh), k, 0);
            _mm256_or_si256(nibbles(&self.qs[k % 4], k >= 4, 0), fifth)
        }
    }
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q8_0 {
    d: [u8; 16],
    qs: [Register; 8],
}

impl Eights for Q8_0 {
    const BASES: usize = 1;
    const PARTS: usize = 1;
    const HALVES: usize = 1;
    const WIDE: bool = true;
    one_scale!();

    #[inline(always)]
    fn codes<const PART: usize>(&self, _: Avx2, _: usize, k: usize) -> __m256i {
        // SAFETY: as the argument says.
        unsafe { load(&self.qs[k]) }
    }
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Mxfp4 {
    e: [u8; 8],
    qs: [Register; 4],
}

impl Eights for Mxfp4 {
    const FLOATS: bool = true;
    const BASES: usize = 1;
    const PARTS: usize = 1;
    const HALVES: usize = 1;
    type Scales = __m256;

    /// Half of 2^(e − 127), as codes are twice what they stand for; 255 is no number.
    #[inline(always)]
    fn scales(&self, _: Avx2) -> __m256 {
        // SAFETY: as the argument says.
        unsafe {
            let e = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(self.e)));
            let above = _mm256_sub_epi32(e, _mm256_set1_epi32(1));
            let normal = _mm256_slli_epi32(above, 23);
            // 2^−128 and 2^−127 are below the smallest that has all its bits.
            let small = _mm256_sllv_epi32(_mm256_set1_epi32(0x0020_0000), e);
            let is_small = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e);
            let none = _mm256_cmpeq_epi32(e, _mm256_set1_epi32(255));
            let scale = _mm256_blendv_epi8(normal, small, is_small);
            _mm256_castsi256_ps(_mm256_or_si256(scale, none))
        }
    }

    #[inline(always)]
    fn scale(_: Avx2, scales: &__m256, _: usize, _: usize) -> __m256 {
        *scales
    }

    #[inline(always)]
    fn codes<const PART: usize>(&self, _: Avx2, _: usize, k: usize) -> __m256i {
        // SAFETY: as the argument says, and the table has 16 bytes.
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(E2M1.as_ptr().cast()));
            _mm256_shuffle_epi8(table, nibbles(&self.qs[k % 4], k >= 4, 0))
        }
    }

    #[inline(always)]
    fn floats<const PART: usize>(&self, _: Avx2, _: usize, k: usize) -> [__m256i; 2] {
        // SAFETY: as the argument says, and the tables have 16 bytes.
        unsafe {
            let codes = nibbles(&self.qs[k % 4], k >= 4, 0);
            FLOATS.each_ref().map(|table| {
                let table = _mm_loadu_si128(table.as_ptr().cast());
                _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), codes)
            })
        }
    }
}

/// Third and fourth bytes of twice what codes of E2M1 stand for, as floats.
static FLOATS: [[u8; 16]; 2] = {
    let mut bytes = [[0; 16]; 2];
    let mut i = 0;
    while i < 16 {
        let float = (E2M1[i] as i32 - E2M1_ZERO) as f32;
        [_, _, bytes[0][i], bytes[1][i]] = float.to_bits().to_le_bytes();
        i += 1;
    }
    bytes
};

/// Numbers of eight rows.
type Rows<const N: usize> = [[f32; 8]; N];

/// The four signed bytes of each row times the row's number.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scaled(words: __m256i, d: __m256, out: &mut [[f32; 8]]) {
    // SAFETY: eight floats each, and the machine has AVX2.
    unsafe {
        let bytes = [
            _mm256_slli_epi32(words, 24),
            _mm256_slli_epi32(words, 16),
            _mm256_slli_epi32(words, 8),
            words,
        ];
        for (out, bytes) in out.iter_mut().zip(bytes) {
            let number = _mm256_cvtepi32_ps(_mm256_srai_epi32(bytes, 24));
            _mm256_storeu_ps(out.as_mut_ptr(), _mm256_mul_ps(d, number));
        }
    }
}

/// What Q4_K and Q5_K have in common.
macro_rules! scales_and_mins {
    () => {
        const BASES: usize = 4;
        const PARTS: usize = 2;
        const HALVES: usize = 1;
        const MINS: bool = true;
        type Scales = (Rows<8>, Rows<8>);

        #[inline(always)]
        fn scale(_: Avx2, scales: &Self::Scales, block: usize, _: usize) -> __m256 {
            // SAFETY: as the argument says.
            unsafe { eight(&scales.0[block]) }
        }

        #[inline(always)]
        fn min(_: Avx2, scales: &Self::Scales, block: usize) -> __m256 {
            // SAFETY: as the argument says.
            unsafe { eight(&scales.1[block]) }
        }
    };
}

/// Scales and minima of Q4_K and Q5_K.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn lines(d: &[[u8; 16]; 2], words: &[Register; 3]) -> (Rows<8>, Rows<8>) {
    let mut all = (Rows::default(), Rows::default());
    let [scales, mins, lows] = [load(&words[0]), load(&words[1]), load(&words[2])];
    let (six, four) = (_mm256_set1_epi8(0x3F), _mm256_set1_epi8(0x0F));
    let top = _mm256_set1_epi8(0x30);
    let top_scales = _mm256_and_si256(_mm256_srli_epi16(scales, 2), top);
    let top_mins = _mm256_and_si256(_mm256_srli_epi16(mins, 2), top);
    let late_scales = _mm256_or_si256(_mm256_and_si256(lows, four), top_scales);
    let late_mins = _mm256_and_si256(_mm256_srli_epi16(lows, 4), four);
    let late_mins = _mm256_or_si256(late_mins, top_mins);
    let (d, dmin) = (halfs(&d[0]), halfs(&d[1]));
    scaled(_mm256_and_si256(scales, six), d, &mut all.0[..4]);
    scaled(late_scales, d, &mut all.0[4..]);
    scaled(_mm256_and_si256(mins, six), dmin, &mut all.1[..4]);
    scaled(late_mins, dmin, &mut all.1[4..]);
    all
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q4K {
    /// Scales of scales, and of minima.
    d: [[u8; 16]; 2],
    scales: [Register; 3],
    qs: [[Register; 8]; 4],
}

const _: () = assert!(size_of::<Q4K>() == 8 * size_of::<q4_k::Block>());

impl Eights for Q4K {
    scales_and_mins!();

    #[inline(always)]
    fn scales(&self, _: Avx2) -> Self::Scales {
        // SAFETY: as the argument says.
        unsafe { lines(&self.d, &self.scales) }
    }

    #[inline(always)]
    fn codes<const PART: usize>(&self, _: Avx2, base: usize, k: usize) -> __m256i {
        // SAFETY: as the argument says.
        unsafe { nibbles(&self.qs[base][k], PART == 1, 0) }
    }

    #[inline(always)]
    fn raised<const PART: usize>(&self, _: Avx2, base: usize, k: usize) -> __m256i {
        // SAFETY: as the argument says.
        unsafe { nibbles(&self.qs[base][k], PART == 1, 3) }
    }
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q5K {
    d: [[u8; 16]; 2],
    scales: [Register; 3],
    qh: [Register; 8],
    qs: [[Register; 8]; 4],
}

impl Eights for Q5K {
    scales_and_mins!();

    #[inline(always)]
    fn scales(&self, _: Avx2) -> Self::Scales {
        // SAFETY: as the argument says.
        unsafe {
            let (scales, mut mins) = lines(&self.d, &self.scales);
            // Sixteen, which codes have in their middle, is made up for here.
            for (min, scale) in mins.iter_mut().zip(&scales) {
                let middle = _mm256_mul_ps(_mm256_set1_ps(16.0), eight(scale));
                _mm256_storeu_ps(min.as_mut_ptr(), _mm256_sub_ps(eight(min), middle));
            }
            (scales, mins)
        }
    }

    #[inline(always)]
    fn codes<const PART: usize>(&self, on: Avx2, base: usize, k: usize) -> __m256i {
        self.up::<PART>(on, base, k, 0)
    }

    #[inline(always)]
    fn raised<const PART: usize>(&self, on: Avx2, base: usize, k: usize) -> __m256i {
        self.up::<PART>(on, base, k, 2)
    }
}

impl Q5K {
    /// Codes, so many places up.
    #[inline(always)]
    fn up<const PART: usize>(&self, _: Avx2, base: usize, k: usize, up: i32) -> __m256i {
        // SAFETY: as the argument says.
        unsafe {
            // The base's bits first, as a count that is not known beforehand.
            let qh = _mm256_srl_epi16(load(&self.qh[k]), _mm_cvtsi32_si128(2 * base as i32));
            let fifth = fifth(qh, PART, up);
            _mm256_or_si256(nibbles(&self.qs[base][k], PART == 1, up), fifth)
        }
    }
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Q6K {
    ql: [[Register; 16]; 2],
    qh: [[Register; 8]; 2],
    scales: [Register; 4],
    d: [u8; 16],
}

impl Eights for Q6K {
    const BASES: usize = 2;
    const PARTS: usize = 4;
    const HALVES: usize = 2;
    type Scales = Rows<16>;

    #[inline(always)]
    fn scales(&self, _: Avx2) -> Self::Scales {
        let mut all = Rows::default();
        // SAFETY: as the argument says.
        unsafe {
            let d = halfs(&self.d);
            for (words, four) in self.scales.iter().zip(all.as_chunks_mut::<4>().0) {
                scaled(load(words), d, four);
            }
        }
        all
    }

    #[inline(always)]
    fn scale(_: Avx2, scales: &Self::Scales, block: usize, half: usize) -> __m256 {
        // SAFETY: as the argument says.
        unsafe { eight(&scales[2 * block + half]) }
    }

    #[inline(always)]
    fn codes<const PART: usize>(&self, _: Avx2, base: usize, k: usize) -> __m256i {
        // SAFETY: as the argument says.
        unsafe {
            let low = nibbles(&self.ql[base][PART % 2 * 8 + k], PART >= 2, 0);
            let high = bits(load(&self.qh[base][k]), 4 - 2 * PART as i32, 0x30);
            _mm256_or_si256(low, high)
        }
    }
}
