/* olhar_run: a network that lies packed in memory, computed step by step at fp32.
 *
 * A packed network is words of 32 bits, little-endian: the header, a record for each step, one for each array
 * of 8-bit weights, numbers of 32 bits (biases, scales), then the weights, of 32 bits, 16 or 8. olhar/native/packing.py
 * writes it and says what each word means.
 */
#ifndef OLHAR_RUN_H
#define OLHAR_RUN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that the weights need as 32-bit numbers. */
int32_t olhar_weights_bytes(const int32_t *packed);
/* The weights as 32-bit numbers; once, before the first run. */
void olhar_unpack(const int32_t *packed, float *weights);
/* Bytes of memory that a run needs. */
int32_t olhar_arena_bytes(const int32_t *packed);
/* One view of an image: pixels (size, size, channels) uint8 -> values in the arena. Both must lie at a
 * multiple of 16. Where the logits and the features lie is said in the header. */
void olhar_run(const int32_t *packed, const float *weights, const uint8_t *pixels, float *arena);
/* The same for `steps` of them, to see where two programs part. */
void olhar_run_some(const int32_t *packed, const float *weights, const uint8_t *pixels, float *arena,
                    int32_t steps);

#ifdef __cplusplus
}
#endif
#endif
