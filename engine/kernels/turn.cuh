// How a head turns by its position's angles, element by element, with cosines and sines that the
// host computed in f64: no device function comes near a position of 131,071 with an f32 angle.
#pragma once
#include "number.cuh"

// Angles of each row's pairs; none, if there are no pairs. Elements i and i + pairs of a head turn
// together, or else elements 2i and 2i + 1.
struct Turn {
    const float *cosines, *sines;
    u32 pairs, neox;
};

// Element `d` of the turned head.
__device__ __forceinline__ float turned(const Turn &turn, const float *head, u32 row, u32 d) {
    if (d >= 2 * turn.pairs) return head[d];
    bool second = turn.neox ? d >= turn.pairs : d & 1;
    u32 pair = turn.neox ? (second ? d - turn.pairs : d) : d / 2;
    float a = head[turn.neox ? pair : 2 * pair];
    float b = head[turn.neox ? pair + turn.pairs : 2 * pair + 1];
    float c = turn.cosines[row * turn.pairs + pair], s = turn.sines[row * turn.pairs + pair];
    return second ? a * s + b * c : a * c - b * s;
}
