// A row of a batch, as the host writes it into the step's buffer.
#pragma once
#include "number.cuh"

struct Row {
    u32 token;
    u32 position;
    u32 slot;
    u32 role;
};
