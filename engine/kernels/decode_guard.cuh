// Whether the decode kernels can be built: they are made for one model's shape, given by constants,
// and for devices that have a copy engine with barriers. Without either a file of them is empty.
#pragma once

#if defined(D_EMBD) && defined(__CUDA_ARCH__)
#define DECODE_FITS (__CUDA_ARCH__ >= 900)
#elif defined(D_EMBD)
#define DECODE_FITS 1
#else
#define DECODE_FITS 0
#endif
