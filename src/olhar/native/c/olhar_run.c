/* See olhar_run.h. */
#include "olhar_run.h"
#include "olhar_nn.h"

#include <string.h>

/* The words of the header. */
enum { MAGIC, VERSION, BITS, STEPS, SIDE, CHANNELS, ARENA, LOGITS, CLASSES, FEATURES, WIDTH, EXACT, WEIGHTS, ARRAYS, HEADER };

/* Of an array of 8-bit weights: how many, how many outputs, and where the outputs' scales begin. */
typedef struct {
    int32_t count, outputs, scales;
} array;

/* Of a step; the places of values are counted in numbers from the beginning of the arena. */
typedef struct {
    int32_t kind, in, in_too, out, count; /* count: numbers that it takes */
    nn_window window;
    int32_t weight, bias; /* from the beginning of the weights, and of the exact numbers */
    float low, high;
    int32_t more[4]; /* concat: channels of the output, and the first of them; matrices: times, m, k, n */
} record;

enum { PIXELS, CONV, DEPTHWISE, DENSE, MAX_POOL, AVG_POOL, ADD, CONCAT, MATRIX, CLIP, TANH, SIGMOID, SILU };

int32_t olhar_weights_bytes(const int32_t *packed)
{
    return packed[WEIGHTS] * 4;
}

int32_t olhar_arena_bytes(const int32_t *packed)
{
    return packed[ARENA] * 4;
}

static const record *records(const int32_t *packed)
{
    return (const record *)(const void *)(packed + HEADER);
}

static const array *arrays(const int32_t *packed)
{
    return (const array *)(const void *)(records(packed) + packed[STEPS]);
}

static const float *exact_numbers(const int32_t *packed)
{
    return (const float *)(const void *)(arrays(packed) + packed[ARRAYS]);
}

/* IEEE 754, 16 bits to 32. */
static float widen(uint32_t half)
{
    const uint32_t sign = (half & 0x8000u) << 16, low = half & 0x7FFFu;
    uint32_t bits = (low << 13) + 0x38000000u; /* 127 - 15 more in the exponent */
    float value;
    if (low < 0x400u) /* so small that it has no leading one */
        value = (float)low * (1.0f / 16777216.0f);
    else
        memcpy(&value, &bits, 4);
    memcpy(&bits, &value, 4);
    bits |= sign;
    memcpy(&value, &bits, 4);
    return value;
}

static void unpack_bytes(const int32_t *packed, const int8_t *from, float *weights)
{
    const float *exact = exact_numbers(packed);
    const array *one = arrays(packed), *end = one + packed[ARRAYS];
    int32_t i;
    for (; one < end; one++)
        for (i = 0; i < one->count; i++)
            *weights++ = (float)*from++ * exact[one->scales + i % one->outputs];
}

void olhar_unpack(const int32_t *packed, float *weights)
{
    const float *exact = exact_numbers(packed);
    const uint8_t *from = (const uint8_t *)(exact + packed[EXACT]);
    int32_t i;
    if (packed[BITS] == 8)
        unpack_bytes(packed, (const int8_t *)from, weights);
    else if (packed[BITS] == 16)
        for (i = 0; i < packed[WEIGHTS]; i++)
            weights[i] = widen(from[2 * i] | (uint32_t)from[2 * i + 1] << 8);
    else
        memcpy(weights, from, (unsigned)packed[WEIGHTS] * 4);
}

static void run_step(const record *s, const float *weights, const float *exact, const uint8_t *pixels, float *arena)
{
    const float *in = arena + s->in, *weight = weights + s->weight, *bias = exact + s->bias;
    const nn_window *w = &s->window;
    float *out = arena + s->out;
    switch (s->kind) {
    case PIXELS: /* `weight` counts in the exact numbers here */
        nn_pixels_f32(pixels, w->in_h * w->in_w, w->in_c, bias, exact + s->weight, out);
        break;
    case CONV:
        nn_conv_f32(w, in, weight, bias, s->low, s->high, out);
        break;
    case DEPTHWISE:
        nn_depthwise_f32(w, in, weight, bias, s->low, s->high, out);
        break;
    case DENSE:
        nn_dense_f32(in, s->count, w->out_c, weight, bias, s->low, s->high, out);
        break;
    case MAX_POOL:
        nn_max_pool_f32(w, in, out);
        break;
    case AVG_POOL:
        nn_avg_pool_f32(w, in, out);
        break;
    case ADD:
        nn_add_f32(in, arena + s->in_too, s->count, s->low, s->high, out);
        break;
    case CONCAT:
        nn_concat_f32(in, w->in_h * w->in_w, w->in_c, out, s->more[0], s->more[1]);
        break;
    case MATRIX:
        nn_matmul_f32(in, s->more[0], s->more[1], s->more[2], s->more[3], weight, out);
        break;
    case CLIP:
        nn_clip_f32(in, s->count, s->low, s->high, out);
        break;
    case TANH:
        nn_tanh_f32(in, s->count, out);
        break;
    case SIGMOID:
        nn_sigmoid_f32(in, s->count, out);
        break;
    default:
        nn_silu_f32(in, s->count, out);
    }
}

void olhar_run_some(const int32_t *packed, const float *weights, const uint8_t *pixels, float *arena,
                    int32_t steps)
{
    const record *s = records(packed);
    const float *exact = exact_numbers(packed);
    int32_t i;
    for (i = 0; i < steps; i++)
        run_step(s + i, weights, exact, pixels, arena);
}

void olhar_run(const int32_t *packed, const float *weights, const uint8_t *pixels, float *arena)
{
    olhar_run_some(packed, weights, pixels, arena, packed[STEPS]);
}
