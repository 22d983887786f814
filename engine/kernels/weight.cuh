// Weights as files store them: each block format decodes eight elements in a row, with the same
// operations in the same order as the host's decoder, so that both give the same bits. Layouts are
// those of engine/src/quant, where each is explained.
#pragma once
#include "number.cuh"

// Bytes in a row, read two at a time where blocks are even.
template <int ALIGN>
__device__ __forceinline__ u64 bytes8(const u8 *at) {
    u64 all = 0;
    if (ALIGN == 2) {
        const u16 *pairs = reinterpret_cast<const u16 *>(at);
#pragma unroll
        for (int i = 0; i < 4; i++) all |= static_cast<u64>(pairs[i]) << (16 * i);
    } else {
#pragma unroll
        for (int i = 0; i < 8; i++) all |= static_cast<u64>(at[i]) << (8 * i);
    }
    return all;
}

__device__ __forceinline__ u16 u16_at(const u8 *at) {
    return *reinterpret_cast<const u16 *>(at);
}

__device__ __forceinline__ float f16_at(const u8 *at) { return f32_of_f16(u16_at(at)); }

__device__ __forceinline__ u32 byte_of(u64 all, int i) {
    return static_cast<u32>(all >> (8 * i)) & 255;
}

// Formats without blocks: one element after the other.
struct F32w {
    static constexpr int LEN = 1, BYTES = 4;
    static constexpr bool INFINITE = false;
    static __device__ float one(const u8 *at) { return *reinterpret_cast<const float *>(at); }
};
struct F16w {
    static constexpr int LEN = 1, BYTES = 2;
    static constexpr bool INFINITE = false;
    static __device__ float one(const u8 *at) { return f16_at(at); }
};
struct BF16w {
    static constexpr int LEN = 1, BYTES = 2;
    static constexpr bool INFINITE = false;
    static __device__ float one(const u8 *at) { return f32_of_bf16(u16_at(at)); }
};

// Blocks: `eight` decodes the elements `at .. at + 8` of a block, `at` a multiple of eight.
// INFINITE: a sound block may stand for infinity.
struct Q4_0w {
    static constexpr int LEN = 32, BYTES = 18;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        float d = f16_at(block);
        u64 q = bytes8<2>(block + 2 + at % 16) >> (at / 16 * 4);
        for (int i = 0; i < 8; i++) w[i] = (static_cast<float>(byte_of(q, i) & 15) - 8.0f) * d;
    }
};
struct Q4_1w {
    static constexpr int LEN = 32, BYTES = 20;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        float d = f16_at(block), m = f16_at(block + 2);
        u64 q = bytes8<2>(block + 4 + at % 16) >> (at / 16 * 4);
        for (int i = 0; i < 8; i++) w[i] = static_cast<float>(byte_of(q, i) & 15) * d + m;
    }
};

// The 5-bit codes of Q5_0 and Q5_1: four bits in `qs`, the fifth in `qh`.
__device__ __forceinline__ u32 five(u64 q, u32 qh, int i) {
    return (byte_of(q, i) & 15) | (qh >> i & 1) << 4;
}
__device__ __forceinline__ u32 u32_at(const u8 *at) {
    return static_cast<u32>(u16_at(at)) | static_cast<u32>(u16_at(at + 2)) << 16;
}
struct Q5_0w {
    static constexpr int LEN = 32, BYTES = 22;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        float d = f16_at(block);
        u32 qh = u32_at(block + 2) >> at;
        u64 q = bytes8<2>(block + 6 + at % 16) >> (at / 16 * 4);
        for (int i = 0; i < 8; i++) w[i] = (static_cast<float>(five(q, qh, i)) - 16.0f) * d;
    }
};
struct Q5_1w {
    static constexpr int LEN = 32, BYTES = 24;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        float d = f16_at(block), m = f16_at(block + 2);
        u32 qh = u32_at(block + 4) >> at;
        u64 q = bytes8<2>(block + 8 + at % 16) >> (at / 16 * 4);
        for (int i = 0; i < 8; i++) w[i] = static_cast<float>(five(q, qh, i)) * d + m;
    }
};
struct Q8_0w {
    static constexpr int LEN = 32, BYTES = 34;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        float d = f16_at(block);
        u64 q = bytes8<2>(block + 2 + at);
        for (int i = 0; i < 8; i++) {
            w[i] = static_cast<float>(static_cast<signed char>(byte_of(q, i))) * d;
        }
    }
};

struct Q2_Kw {
    static constexpr int LEN = 256, BYTES = 84;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        int sub = at / 16, shift = sub % 8 / 2 * 2;
        u32 packed = block[sub];
        float scale = f16_at(block + 80) * static_cast<float>(packed & 15);
        float min = f16_at(block + 82) * static_cast<float>(packed >> 4);
        u64 q = bytes8<2>(block + 16 + 32 * (sub / 8) + 16 * (sub % 2) + at % 16) >> shift;
        for (int i = 0; i < 8; i++) w[i] = scale * static_cast<float>(byte_of(q, i) & 3) - min;
    }
};
struct Q3_Kw {
    static constexpr int LEN = 256, BYTES = 110;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        int sub = at / 16, shift = sub % 8 / 2 * 2;
        const u8 *packed = block + 96;
        int low = packed[sub % 8] >> (sub / 8 * 4) & 15;
        int high = packed[8 + sub % 4] >> (sub / 4 * 2) & 3;
        float scale = f16_at(block + 108) * static_cast<float>((low | high << 4) - 32);
        u64 q = bytes8<2>(block + 32 + 32 * (sub / 8) + 16 * (sub % 2) + at % 16) >> shift;
        u64 third = bytes8<2>(block + 16 * (sub % 2) + at % 16) >> (sub / 2);
        for (int i = 0; i < 8; i++) {
            int code = static_cast<int>(byte_of(q, i) & 3) - ((byte_of(third, i) & 1) ? 0 : 4);
            w[i] = scale * static_cast<float>(code);
        }
    }
};

// Scale and minimum of sub-block `sub` of Q4_K and Q5_K, times their own scales.
__device__ __forceinline__ void scale_and_min(const u8 *block, int sub, float *scale, float *min) {
    const u8 *packed = block + 4;
    u32 s, m;
    if (sub < 4) {
        s = packed[sub] & 63;
        m = packed[sub + 4] & 63;
    } else {
        u32 low = packed[sub + 4];
        s = (low & 15) | (packed[sub - 4] >> 6) << 4;
        m = low >> 4 | (packed[sub] >> 6) << 4;
    }
    *scale = f16_at(block) * static_cast<float>(s);
    *min = f16_at(block + 2) * static_cast<float>(m);
}
struct Q4_Kw {
    static constexpr int LEN = 256, BYTES = 144;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        int sub = at / 32;
        float scale, min;
        scale_and_min(block, sub, &scale, &min);
        u64 q = bytes8<2>(block + 16 + sub / 2 * 32 + at % 32) >> (sub % 2 * 4);
        for (int i = 0; i < 8; i++) w[i] = scale * static_cast<float>(byte_of(q, i) & 15) - min;
    }
};
struct Q5_Kw {
    static constexpr int LEN = 256, BYTES = 176;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        int sub = at / 32;
        float scale, min;
        scale_and_min(block, sub, &scale, &min);
        u64 q = bytes8<2>(block + 48 + sub / 2 * 32 + at % 32) >> (sub % 2 * 4);
        u64 fifth = bytes8<2>(block + 16 + at % 32) >> sub;
        for (int i = 0; i < 8; i++) {
            u32 code = (byte_of(q, i) & 15) | (byte_of(fifth, i) & 1) << 4;
            w[i] = scale * static_cast<float>(code) - min;
        }
    }
};
struct Q6_Kw {
    static constexpr int LEN = 256, BYTES = 210;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        int sub = at / 16, half = sub / 8, within = 16 * (sub % 8), i0 = at % 16;
        float scale = f16_at(block + 208) *
                      static_cast<float>(static_cast<signed char>(block[192 + sub]));
        u64 low = bytes8<2>(block + 64 * half + within % 64 + i0) >> (within / 64 * 4);
        u64 high = bytes8<2>(block + 128 + 32 * half + within % 32 + i0) >> (within / 32 * 2);
        for (int i = 0; i < 8; i++) {
            int code = static_cast<int>((byte_of(low, i) & 15) | (byte_of(high, i) & 3) << 4);
            w[i] = scale * static_cast<float>(code - 32);
        }
    }
};

// What the sixteen codes of IQ4_NL and IQ4_XS stand for, four to a word.
__device__ __forceinline__ float iq4(u32 code) {
    const u32 words[4] = {0xBFAD9881, 0xF6EADDCF, 0x26190D01, 0x71594535};
    u32 word = code < 8 ? (code < 4 ? words[0] : words[1]) : (code < 12 ? words[2] : words[3]);
    return static_cast<float>(static_cast<signed char>(word >> (8 * (code % 4)) & 255));
}
struct IQ4_NLw {
    static constexpr int LEN = 32, BYTES = 18;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        float d = f16_at(block);
        u64 q = bytes8<2>(block + 2 + at % 16) >> (at / 16 * 4);
        for (int i = 0; i < 8; i++) w[i] = d * iq4(byte_of(q, i) & 15);
    }
};
struct IQ4_XSw {
    static constexpr int LEN = 256, BYTES = 136;
    static constexpr bool INFINITE = false;
    static __device__ void eight(const u8 *block, int at, float *w) {
        int sub = at / 32;
        int low = block[4 + sub / 2] >> (sub % 2 * 4) & 15;
        int high = u16_at(block + 2) >> (2 * sub) & 3;
        float scale = f16_at(block) * static_cast<float>((low | high << 4) - 32);
        u64 q = bytes8<2>(block + 8 + 16 * sub + at % 16) >> (at % 32 / 16 * 4);
        for (int i = 0; i < 8; i++) w[i] = scale * iq4(byte_of(q, i) & 15);
    }
};

// E2M1: its exponent and mantissa bits are those of an f32 that is 2^126 times too small.
__device__ __forceinline__ float e2m1(u32 code) {
    float small = __uint_as_float((code & 8) << 28 | (code & 7) << 22);
    return small * __uint_as_float(253u << 23);
}
struct MXFP4w {
    static constexpr int LEN = 32, BYTES = 17;
    // The scales 253 and 254 are legal, and their largest codes are beyond f32.
    static constexpr bool INFINITE = true;
    static __device__ float scale(u32 e) {
        return __uint_as_float(e == 255 ? 0x7FC00000 : e == 0 ? 0x00400000 : e << 23);
    }
    static __device__ void eight(const u8 *block, int at, float *w) {
        float d = scale(block[0]);
        u64 q = bytes8<1>(block + 1 + at % 16) >> (at / 16 * 4);
        for (int i = 0; i < 8; i++) w[i] = e2m1(byte_of(q, i) & 15) * d;
    }
};
struct NVFP4w {
    static constexpr int LEN = 64, BYTES = 36;
    static constexpr bool INFINITE = false;
    static __device__ float scale(u32 e4m3) {
        u32 exponent = e4m3 >> 3 & 15, mantissa = e4m3 & 7;
        if ((e4m3 & 127) == 127) return __uint_as_float(0x7FC00000);
        if (exponent == 0) return static_cast<float>(mantissa) * 0.001953125f;
        return __uint_as_float((exponent + 120) << 23 | mantissa << 20);
    }
    static __device__ void eight(const u8 *block, int at, float *w) {
        float d = scale(block[at / 16]);
        u64 q = bytes8<2>(block + 4 + 8 * (at / 16)) >> (at % 16 / 8 * 4);
        for (int i = 0; i < 8; i++) w[i] = e2m1(byte_of(q, i) & 15) * d;
    }
};

// Every format that can be decoded, with the ending of its symbols.
#define EACH_FORMAT(DO)                                                                       \
    DO(F32w, f32w) DO(F16w, f16w) DO(BF16w, bf16w) DO(Q4_0w, q4_0w) DO(Q4_1w, q4_1w)          \
    DO(Q5_0w, q5_0w) DO(Q5_1w, q5_1w) DO(Q8_0w, q8_0w) DO(Q2_Kw, q2_kw) DO(Q3_Kw, q3_kw)      \
    DO(Q4_Kw, q4_kw) DO(Q5_Kw, q5_kw) DO(Q6_Kw, q6_kw) DO(IQ4_NLw, iq4_nlw)                   \
    DO(IQ4_XSw, iq4_xsw) DO(MXFP4w, mxfp4w) DO(NVFP4w, nvfp4w)

// Bytes of a row of `width` elements.
template <class F>
__device__ __forceinline__ u64 row_bytes(u32 width) {
    return static_cast<u64>(width / F::LEN) * F::BYTES;
}

template <bool BLOCKS>
struct Eight {
    template <class F>
    static __device__ __forceinline__ void load(const u8 *row, u32 k, u32 width, float *w) {
        F::eight(row + static_cast<u64>(k / F::LEN) * F::BYTES, k % F::LEN, w);
    }
};
template <>
struct Eight<false> {
    template <class F>
    static __device__ __forceinline__ void load(const u8 *row, u32 k, u32 width, float *w) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            w[i] = k + i < width ? F::one(row + static_cast<u64>(k + i) * F::BYTES) : 0.0f;
        }
    }
};

// Elements k .. k + 8 of a row, `k` a multiple of eight; zeros past its end.
template <class F>
__device__ __forceinline__ void eight(const u8 *row, u32 k, u32 width, float *w) {
    Eight<(F::LEN > 1)>::template load<F>(row, k, width, w);
}

// A row of a matrix as its file holds it (`layout` is zero) or woven: eight rows together, of each
// a unit, then of each the next; a unit is 64 elements of F16, 128 in blocks of 32, or a block of
// 256. The last rows may be fewer than eight: how many there are in all stands in the upper half of
// `layout`. packed.cuh has the other ways a row can lie.
template <class F>
struct Line {
    static constexpr u32 UNIT = F::LEN > 128 ? F::LEN : F::LEN > 1 ? 128 : 64;
    static constexpr u32 BYTES = UNIT / F::LEN * F::BYTES;
    // Where the row and its companions start; its number among them, and how many others there are.
    const u8 *at;
    u32 row, others;

    __device__ Line() {}
    __device__ Line(const u8 *weight, u64 index, u32 width, u64 layout) {
        u64 first = layout ? index / 8 * 8 : index;
        row = static_cast<u32>(index - first);
        others = layout ? static_cast<u32>(min((layout >> 32) - first, 8ull)) - 1 : 0;
        at = weight + first * row_bytes<F>(width);
    }
    // Elements k .. k + 8, `k` a multiple of eight; zeros past the row's end.
    __device__ __forceinline__ void eight(u32 k, u32 width, float *w) const {
        u32 before = k / UNIT * BYTES;
        u32 bytes = min(static_cast<u32>(row_bytes<F>(width)) - before, BYTES);
        ::eight<F>(at + static_cast<u64>(others) * before + row * bytes, k, width, w);
    }
};
