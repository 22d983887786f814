// From a row of logits to the next token's id, which becomes the token of the row that follows and
// is told to the host: the largest, or one drawn at a temperature. The same function as the
// sampler's, to the bit (engine/src/sampler: weights.rs, candidates.rs, rank.rs, philox.rs).
#include "math.cuh"
#include "step.cuh"

constexpr u32 NO_NUMBER = 0xfffffffeu;
constexpr int LARGEST_THREADS = 1024, BLOCK = 256, LANES = 8, MOST_SUMS = 4096;

struct Largest {
    float logit;
    u32 id;
};

// Of equals the lower id.
__device__ __forceinline__ Largest larger(Largest a, Largest b) {
    return b.logit > a.logit || (b.logit == a.logit && b.id < a.id) ? b : a;
}

__device__ __forceinline__ void tell(u32 *told, u32 id) {
    if (told) *(volatile u32 *)told = id;
}

// One block. `best` is the largest's id for draw_f32; NO_NUMBER if any logit is not finite. Without
// `next` it is only left there.
extern "C" __global__ void __launch_bounds__(LARGEST_THREADS)
    largest_f32(const float *logits, u32 *best, u32 *next, u32 *told, u32 n) {
    __shared__ Largest found[LARGEST_THREADS];
    Largest most = {__uint_as_float(0xFF800000), NO_NUMBER};
    bool odd = false;
    for (u32 i = threadIdx.x; i < n; i += LARGEST_THREADS) {
        float logit = logits[i];
        odd |= !(fabsf(logit) <= 3.402823466e38f);
        most = larger(most, Largest{logit, i});
    }
    found[threadIdx.x] = most;
    odd = __syncthreads_or(odd);
    for (u32 half = LARGEST_THREADS / 2; half; half /= 2) {
        if (threadIdx.x < half)
            found[threadIdx.x] = larger(found[threadIdx.x], found[threadIdx.x + half]);
        __syncthreads();
    }
    if (threadIdx.x) return;
    u32 id = odd ? NO_NUMBER : found[0].id;
    *best = id;
    if (!next) return;
    *next = odd ? 0 : id;
    tell(told, id);
}

// A float's bits as an integer that orders the same way; both zeros are one number.
__device__ __forceinline__ u32 ordered(float v) {
    u32 bits = __float_as_uint(v + 0.0f);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

struct Candidate {
    u32 key, id;
};

__device__ __forceinline__ bool before(Candidate a, Candidate b) {
    return a.key > b.key || (a.key == b.key && a.id < b.id);
}

// The k <= 1024 largest of n > k logits, of equals the lower ids: told[1 + 2i] is an id and what
// follows it the logit's bits, by falling logit; told[0] says k when all of them are there,
// NO_NUMBER if any logit is not finite, and 0 if equals are too many to be put in order here. One
// block: among the threads' largest the k-th bounds what can be among the k largest of all.
extern "C" __global__ void __launch_bounds__(LARGEST_THREADS)
    likeliest_f32(const float *logits, u32 *told, u32 n, u32 k) {
    constexpr u32 ROOM = 2048;
    __shared__ u32 tops[LARGEST_THREADS], bound, count;
    __shared__ Candidate near[ROOM];
    u32 self = threadIdx.x, top = 0, better = 0;
    bool odd = false;
    for (u32 i = self; i < n; i += LARGEST_THREADS) {
        float logit = logits[i];
        odd |= !(fabsf(logit) <= 3.402823466e38f);
        top = max(top, ordered(logit));
    }
    tops[self] = top;
    if (self == 0) count = 0;
    odd = __syncthreads_or(odd);
    for (u32 i = 0; i < LARGEST_THREADS; i++)
        better += before(Candidate{tops[i], i}, Candidate{top, self});
    if (better == k - 1) bound = top;
    __syncthreads();
    for (u32 i = self; i < n; i += LARGEST_THREADS) {
        u32 key = ordered(logits[i]);
        if (key < bound) continue;
        // Whole numbers only, and whoever comes first: ranks below do not depend on places.
        u32 place = atomicInc(&count, ~0u);
        if (place < ROOM) near[place] = Candidate{key, i};
    }
    __syncthreads();
    bool fits = count <= ROOM;
    for (u32 i = self; fits && i < count; i += LARGEST_THREADS) {
        u32 rank = 0;
        for (u32 j = 0; j < count; j++) rank += before(near[j], near[i]);
        if (rank >= k) continue;
        *(volatile u32 *)(told + 1 + 2 * rank) = near[i].id;
        *(volatile u32 *)(told + 2 + 2 * rank) = __float_as_uint(logits[near[i].id]);
    }
    __threadfence_system();
    __syncthreads();
    if (self == 0) tell(told, odd ? NO_NUMBER : fits ? k : 0);
}

// e^x for x <= 0, as weights.rs has it.
__device__ __forceinline__ double weight_exp(double x) {
    const double LEAST = -700.0, TO_INTEGER = 6755399441055744.0;
    const double SERIES[12] = {1.0 / 39916800.0, 1.0 / 3628800.0, 1.0 / 362880.0, 1.0 / 40320.0,
                               1.0 / 5040.0,     1.0 / 720.0,     1.0 / 120.0,    1.0 / 24.0,
                               1.0 / 6.0,        1.0 / 2.0,       1.0,            1.0};
    double inside = x < LEAST ? LEAST : x;
    double shifted = inside * f64_of_bits(0x3FF71547652B82FEull) + TO_INTEGER;
    double k = shifted - TO_INTEGER;
    double r = (inside - k * f64_of_bits(0x3FE62E42FEE00000ull)) -
               k * f64_of_bits(0x3DEA39EF35793C76ull);
    double series = SERIES[0];
#pragma unroll
    for (int i = 1; i < 12; i++) series = series * r + SERIES[i];
    u64 bits = static_cast<u64>(__double_as_longlong(shifted)) << 52;
    double power = f64_of_bits(bits + (1023ull << 52));
    return x < LEAST ? 0.0 : series * power;
}

__device__ __forceinline__ double weight(const float *logits, u32 i, u32 best, float temperature) {
    double largest = static_cast<double>(logits[best]);
    double steepness = 1.0 / static_cast<double>(temperature);
    return weight_exp((static_cast<double>(logits[i]) - largest) * steepness);
}

// sums[b]: of the weights of logits 256 b .. 256 b + 255, in eight lanes. Grid: blocks.
extern "C" __global__ void __launch_bounds__(BLOCK)
    weigh_f32(double *sums, const float *logits, const u32 *best, u32 n, float temperature) {
    __shared__ double weights[BLOCK], lanes[LANES];
    u32 i = blockIdx.x * BLOCK + threadIdx.x, id = *best;
    if (id == NO_NUMBER) return;
    weights[threadIdx.x] = i < n ? weight(logits, i, id, temperature) : 0.0;
    __syncthreads();
    if (threadIdx.x < LANES) {
        double sum = 0.0;
        for (u32 j = threadIdx.x; j < BLOCK; j += LANES) sum += weights[j];
        lanes[threadIdx.x] = sum;
    }
    __syncthreads();
    if (threadIdx.x) return;
    sums[blockIdx.x] = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                       ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

// Philox4x32-10 keyed by seed, counting positions; a number in [0, 1) in steps of 2^-53.
__device__ __forceinline__ double uniform(u64 seed, u64 position) {
    u32 c[4] = {static_cast<u32>(position), static_cast<u32>(position >> 32), 0, 0};
    u32 k[2] = {static_cast<u32>(seed), static_cast<u32>(seed >> 32)};
    for (int round = 0; round < 10; round++) {
        u64 a = static_cast<u64>(0xD2511F53u) * c[0], b = static_cast<u64>(0xCD9E8D57u) * c[2];
        u32 x = static_cast<u32>(b >> 32) ^ c[1] ^ k[0];
        u32 z = static_cast<u32>(a >> 32) ^ c[3] ^ k[1];
        c[0] = x, c[1] = static_cast<u32>(b), c[2] = z, c[3] = static_cast<u32>(a);
        k[0] += 0x9E3779B9u, k[1] += 0xBB67AE85u;
    }
    u64 word = static_cast<u64>(c[0]) << 32 | c[1];
    return static_cast<double>(word >> 11) / 9007199254740992.0;
}

// Where the sum of the parts first exceeds *target, which becomes what is left for that part; the
// last part that weighs anything if rounding keeps the sum below.
__device__ u32 passes(const double *parts, u32 count, double *target) {
    double sum = 0.0, left = 0.0;
    u32 place = 0;
    for (u32 i = 0; i < count; i++) {
        if (!(parts[i] > 0.0)) continue;
        place = i, left = *target - sum;
        sum += parts[i];
        if (sum > *target) break;
    }
    *target = left;
    return place;
}

// One block. The draw of the token behind row `row`.
extern "C" __global__ void __launch_bounds__(BLOCK)
    draw_f32(const double *sums, const float *logits, const u32 *best, u32 *next, u32 *told,
             const Row *row, u64 seed, u32 n, float temperature) {
    __shared__ double parts[MOST_SUMS];
    __shared__ u32 chosen;
    __shared__ double rest;
    u32 id = *best, count = (n + BLOCK - 1) / BLOCK;
    if (id != NO_NUMBER) {
        for (u32 i = threadIdx.x; i < count; i += BLOCK) parts[i] = sums[i];
        __syncthreads();
        if (threadIdx.x == 0) {
            double total = 0.0;
            for (u32 i = 0; i < count; i++) total += parts[i];
            rest = uniform(seed, static_cast<u64>(row->position) + 1) * total;
            chosen = passes(parts, count, &rest);
        }
        __syncthreads();
        u32 from = chosen * BLOCK, i = from + threadIdx.x;
        __syncthreads();
        parts[threadIdx.x] = i < n ? weight(logits, i, id, temperature) : 0.0;
        __syncthreads();
        if (threadIdx.x == 0) {
            double left = rest;
            id = from + passes(parts, min(n - from, static_cast<u32>(BLOCK)), &left);
        }
    }
    if (threadIdx.x) return;
    *next = id == NO_NUMBER ? 0 : id;
    tell(told, id);
}
