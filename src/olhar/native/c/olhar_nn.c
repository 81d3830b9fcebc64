/* olhar_nn: the operators of a network. See olhar_nn.h. */
#include "olhar_nn.h"

#include <string.h>
#ifdef __ARM_FEATURE_SIMD32
#include <arm_acle.h>
#endif

/* ---- windows ---- */

/* Of a window at output place `at`: the first and the last + 1 of its places that lie inside of the image. */
static int first_inside(int at, int stride, int pad)
{
    int start = at * stride - pad;
    return start < 0 ? -start : 0;
}

static int end_inside(int at, int stride, int pad, int kernel, int size)
{
    int room = size - (at * stride - pad);
    return room < kernel ? room : kernel;
}

static float limit(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* ---- views ---- */

static int reflect(int at, int size)
{
    at = at < 0 ? -at : at;
    return at < size ? at : 2 * (size - 1) - at;
}

void nn_view_u8(const uint8_t *in, int h, int w, int c, int dy, int dx, int mirror, uint8_t *out)
{
    int y, x;
    for (y = 0; y < h; y++)
        for (x = 0; x < w; x++, out += c) {
            const int from = mirror ? w - 1 - x : x;
            memcpy(out, in + (reflect(y + dy, h) * w + reflect(from + dx, w)) * c, (unsigned)c);
        }
}

/* ---- fp32 ---- */

void nn_pixels_f32(const uint8_t *in, int n, int c, const float *mean, const float *scale, float *out)
{
    int i, j;
    for (i = 0; i < n; i++)
        for (j = 0; j < c; j++)
            out[i * c + j] = ((float)in[i * c + j] - mean[j]) * scale[j];
}

/* The part of a convolution that one output place needs: its window's places inside of the image. */
typedef struct {
    const float *in; /* the image's place under the window's upper left corner; may lie outside */
    int ky0, ky1, kx0, kx1;
} place_f32;

#define BLOCK 8 /* outputs that are summed at once, so that a compiler keeps them in vectors */

/* Four neighbouring places, none of which is cut off at its left or right. */
static void conv4_f32(const nn_window *w, const place_f32 *at, const float *weight, const float *bias, float low,
                      float high, float *out)
{
    const int ci = w->in_c, co = w->out_c, step = w->stride_w * ci;
    int o, ky, kx, i, j;
    for (o = 0; o + BLOCK <= co; o += BLOCK) {
        float a0[BLOCK], a1[BLOCK], a2[BLOCK], a3[BLOCK];
        for (j = 0; j < BLOCK; j++)
            a0[j] = a1[j] = a2[j] = a3[j] = bias[o + j];
        for (ky = at->ky0; ky < at->ky1; ky++)
            for (kx = at->kx0; kx < at->kx1; kx++) {
                const float *x = at->in + (ky * w->in_w + kx) * ci;
                const float *k = weight + (ky * w->kernel_w + kx) * ci * co + o;
                for (i = 0; i < ci; i++, k += co) {
                    const float x0 = x[i], x1 = x[i + step], x2 = x[i + 2 * step], x3 = x[i + 3 * step];
                    for (j = 0; j < BLOCK; j++) {
                        a0[j] += x0 * k[j];
                        a1[j] += x1 * k[j];
                        a2[j] += x2 * k[j];
                        a3[j] += x3 * k[j];
                    }
                }
            }
        for (j = 0; j < BLOCK; j++) {
            out[o + j] = limit(a0[j], low, high);
            out[co + o + j] = limit(a1[j], low, high);
            out[2 * co + o + j] = limit(a2[j], low, high);
            out[3 * co + o + j] = limit(a3[j], low, high);
        }
    }
    for (; o < co; o++) {
        float a0 = bias[o], a1 = a0, a2 = a0, a3 = a0;
        for (ky = at->ky0; ky < at->ky1; ky++)
            for (kx = at->kx0; kx < at->kx1; kx++) {
                const float *x = at->in + (ky * w->in_w + kx) * ci;
                const float *k = weight + (ky * w->kernel_w + kx) * ci * co + o;
                for (i = 0; i < ci; i++, k += co) {
                    a0 += x[i] * *k;
                    a1 += x[i + step] * *k;
                    a2 += x[i + 2 * step] * *k;
                    a3 += x[i + 3 * step] * *k;
                }
            }
        out[o] = limit(a0, low, high);
        out[co + o] = limit(a1, low, high);
        out[2 * co + o] = limit(a2, low, high);
        out[3 * co + o] = limit(a3, low, high);
    }
}

/* One place. */
static void conv1_f32(const nn_window *w, const place_f32 *at, const float *weight, const float *bias, float low,
                      float high, float *out)
{
    const int ci = w->in_c, co = w->out_c;
    int o, ky, kx, i, j;
    for (o = 0; o < co; o += BLOCK) {
        const int some = co - o < BLOCK ? co - o : BLOCK;
        float a[BLOCK];
        for (j = 0; j < some; j++)
            a[j] = bias[o + j];
        for (ky = at->ky0; ky < at->ky1; ky++)
            for (kx = at->kx0; kx < at->kx1; kx++) {
                const float *x = at->in + (ky * w->in_w + kx) * ci;
                const float *k = weight + (ky * w->kernel_w + kx) * ci * co + o;
                for (i = 0; i < ci; i++, k += co)
                    for (j = 0; j < some; j++)
                        a[j] += x[i] * k[j];
            }
        for (j = 0; j < some; j++)
            out[o + j] = limit(a[j], low, high);
    }
}

void nn_conv_f32(const nn_window *w, const float *in, const float *weight, const float *bias, float low,
                 float high, float *out)
{
    int y, x;
    for (y = 0; y < w->out_h; y++)
        for (x = 0; x < w->out_w;) {
            const int top = y * w->stride_h - w->pad_top, left = x * w->stride_w - w->pad_left;
            float *given = out + (y * w->out_w + x) * w->out_c;
            place_f32 at;
            int last = x + 3;
            at.in = in + (top * w->in_w + left) * w->in_c;
            at.ky0 = first_inside(y, w->stride_h, w->pad_top);
            at.ky1 = end_inside(y, w->stride_h, w->pad_top, w->kernel_h, w->in_h);
            at.kx0 = first_inside(x, w->stride_w, w->pad_left);
            at.kx1 = end_inside(x, w->stride_w, w->pad_left, w->kernel_w, w->in_w);
            if (last < w->out_w && at.kx0 == 0 &&
                end_inside(last, w->stride_w, w->pad_left, w->kernel_w, w->in_w) == w->kernel_w) {
                conv4_f32(w, &at, weight, bias, low, high, given);
                x += 4;
            } else {
                conv1_f32(w, &at, weight, bias, low, high, given);
                x += 1;
            }
        }
}

void nn_depthwise_f32(const nn_window *w, const float *in, const float *weight, const float *bias, float low,
                      float high, float *out)
{
    const int c = w->in_c;
    int y, x, o, ky, kx, j;
    for (y = 0; y < w->out_h; y++)
        for (x = 0; x < w->out_w; x++) {
            const int top = y * w->stride_h - w->pad_top, left = x * w->stride_w - w->pad_left;
            const int ky0 = first_inside(y, w->stride_h, w->pad_top);
            const int ky1 = end_inside(y, w->stride_h, w->pad_top, w->kernel_h, w->in_h);
            const int kx0 = first_inside(x, w->stride_w, w->pad_left);
            const int kx1 = end_inside(x, w->stride_w, w->pad_left, w->kernel_w, w->in_w);
            for (o = 0; o + BLOCK <= c; o += BLOCK) {
                float a[BLOCK];
                for (j = 0; j < BLOCK; j++)
                    a[j] = bias[o + j];
                for (ky = ky0; ky < ky1; ky++)
                    for (kx = kx0; kx < kx1; kx++) {
                        const float *given = in + ((top + ky) * w->in_w + left + kx) * c + o;
                        const float *k = weight + (ky * w->kernel_w + kx) * c + o;
                        for (j = 0; j < BLOCK; j++)
                            a[j] += given[j] * k[j];
                    }
                for (j = 0; j < BLOCK; j++)
                    out[o + j] = limit(a[j], low, high);
            }
            for (; o < c; o++) {
                float a = bias[o];
                for (ky = ky0; ky < ky1; ky++)
                    for (kx = kx0; kx < kx1; kx++)
                        a += in[((top + ky) * w->in_w + left + kx) * c + o] *
                             weight[(ky * w->kernel_w + kx) * c + o];
                out[o] = limit(a, low, high);
            }
            out += c;
        }
}

void nn_dense_f32(const float *in, int inputs, int outputs, const float *weight, const float *bias, float low,
                  float high, float *out)
{
    int i, o;
    for (o = 0; o < outputs; o++)
        out[o] = bias[o];
    for (i = 0; i < inputs; i++, weight += outputs) {
        const float x = in[i];
        for (o = 0; o < outputs; o++)
            out[o] += x * weight[o];
    }
    nn_clip_f32(out, outputs, low, high, out);
}

void nn_max_pool_f32(const nn_window *w, const float *in, float *out)
{
    const int c = w->in_c;
    int y, x, ky, kx, j;
    for (y = 0; y < w->out_h; y++)
        for (x = 0; x < w->out_w; x++, out += c) {
            const int ky0 = first_inside(y, w->stride_h, w->pad_top);
            const int ky1 = end_inside(y, w->stride_h, w->pad_top, w->kernel_h, w->in_h);
            const int kx0 = first_inside(x, w->stride_w, w->pad_left);
            const int kx1 = end_inside(x, w->stride_w, w->pad_left, w->kernel_w, w->in_w);
            const float *corner =
                in + ((y * w->stride_h - w->pad_top) * w->in_w + x * w->stride_w - w->pad_left) * c;
            for (j = 0; j < c; j++) {
                float most = corner[(ky0 * w->in_w + kx0) * c + j];
                for (ky = ky0; ky < ky1; ky++)
                    for (kx = kx0; kx < kx1; kx++) {
                        const float one = corner[(ky * w->in_w + kx) * c + j];
                        most = one > most ? one : most;
                    }
                out[j] = most;
            }
        }
}

void nn_avg_pool_f32(const nn_window *w, const float *in, float *out)
{
    const int c = w->in_c;
    const float share = 1.0f / (float)(w->kernel_h * w->kernel_w);
    int y, x, ky, kx, j;
    for (y = 0; y < w->out_h; y++)
        for (x = 0; x < w->out_w; x++, out += c) {
            const float *corner = in + (y * w->stride_h * w->in_w + x * w->stride_w) * c;
            for (j = 0; j < c; j++) {
                float sum = 0;
                for (ky = 0; ky < w->kernel_h; ky++)
                    for (kx = 0; kx < w->kernel_w; kx++)
                        sum += corner[(ky * w->in_w + kx) * c + j];
                out[j] = sum * share;
            }
        }
}

void nn_add_f32(const float *a, const float *b, int n, float low, float high, float *out)
{
    int i;
    for (i = 0; i < n; i++)
        out[i] = limit(a[i] + b[i], low, high);
}

void nn_concat_f32(const float *in, int n, int c, float *out, int out_c, int at)
{
    int i;
    for (i = 0; i < n; i++)
        memcpy(out + i * out_c + at, in + i * c, (unsigned)c * sizeof(float));
}

void nn_matmul_f32(const float *in, int times, int m, int k, int n, const float *matrix, float *out)
{
    int t, row, i, j;
    for (t = 0; t < times; t++, in += k * n)
        for (row = 0; row < m; row++, out += n) {
            for (j = 0; j < n; j++)
                out[j] = 0;
            for (i = 0; i < k; i++) {
                const float share = matrix[row * k + i];
                if (share != 0)
                    for (j = 0; j < n; j++)
                        out[j] += share * in[i * n + j];
            }
        }
}

void nn_clip_f32(const float *in, int n, float low, float high, float *out)
{
    int i;
    for (i = 0; i < n; i++)
        out[i] = limit(in[i], low, high);
}

float nn_exp_f32(float x)
{
    /* x = n * ln 2 + r with |r| <= ln 2 / 2, and e^x = 2^n * e^r. ln 2 in two parts, so that n * ln 2 is exact. */
    float r, power;
    int32_t n, bits;
    if (x < -87.0f)
        return 0;
    if (x > 88.0f)
        x = 88.0f;
    n = (int32_t)(x * 1.44269504f + (x < 0 ? -0.5f : 0.5f));
    r = x - (float)n * 0.693359375f;
    r += (float)n * 2.12194440e-4f;
    power = 1.9875691e-4f;
    power = power * r + 1.3981999e-3f;
    power = power * r + 8.3334519e-3f;
    power = power * r + 4.1665796e-2f;
    power = power * r + 1.6666666e-1f;
    power = power * r + 5.0000001e-1f;
    power = power * r * r + r + 1.0f;
    bits = (n + 127) * (1 << 23);
    memcpy(&r, &bits, sizeof r);
    return power * r;
}

void nn_tanh_f32(const float *in, int n, float *out)
{
    int i;
    for (i = 0; i < n; i++) {
        const float x = in[i], less = nn_exp_f32(x < 0 ? 2 * x : -2 * x);
        const float size = (1 - less) / (1 + less);
        out[i] = x < 0 ? -size : size;
    }
}

void nn_sigmoid_f32(const float *in, int n, float *out)
{
    int i;
    for (i = 0; i < n; i++)
        out[i] = 1 / (1 + nn_exp_f32(-in[i]));
}

void nn_silu_f32(const float *in, int n, float *out)
{
    int i;
    for (i = 0; i < n; i++)
        out[i] = in[i] / (1 + nn_exp_f32(-in[i]));
}

void nn_softmax_f32(const float *in, int n, float temperature, float *out)
{
    float most = in[0], sum = 0;
    int i;
    for (i = 1; i < n; i++)
        most = in[i] > most ? in[i] : most;
    for (i = 0; i < n; i++) {
        out[i] = nn_exp_f32((in[i] - most) / temperature);
        sum += out[i];
    }
    for (i = 0; i < n; i++)
        out[i] /= sum;
}

/* ---- 8 bits ---- */

int32_t nn_requantise(int32_t x, int32_t multiplier, int shift)
{
    const int down = 31 - shift;
    return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << (down - 1))) >> down);
}

static int8_t narrow(const nn_quant *q, int32_t sum, int32_t multiplier, int shift)
{
    const int32_t x = nn_requantise(sum, multiplier, shift) + q->out_zero;
    return (int8_t)(x < q->low ? q->low : x > q->high ? q->high : x);
}

/* The sum of (x - zero) * k over n numbers that lie side by side. */
static int32_t dot(const int8_t *x, const int8_t *k, int n, int zero)
{
    int32_t sum = 0;
    int i = 0;
#ifdef __ARM_FEATURE_SIMD32 /* a Cortex-M4 or M7 does two products at once */
    const int16x2_t less = (int16x2_t)(((uint32_t)-zero & 0xffff) * 0x10001u);
    for (; i + 4 <= n; i += 4) {
        uint32_t four, weights;
        memcpy(&four, x + i, 4);
        memcpy(&weights, k + i, 4);
        sum = __smlad(__sadd16(__sxtb16((int8x4_t)four), less), __sxtb16((int8x4_t)weights), sum);
        four = four >> 8 | four << 24;
        weights = weights >> 8 | weights << 24;
        sum = __smlad(__sadd16(__sxtb16((int8x4_t)four), less), __sxtb16((int8x4_t)weights), sum);
    }
#endif
    for (; i < n; i++)
        sum += (int16_t)(x[i] - zero) * k[i];
    return sum;
}

void nn_pixels_i8(const uint8_t *in, int n, int c, const int8_t *table, int8_t *out)
{
    int i, j;
    for (i = 0; i < n; i++)
        for (j = 0; j < c; j++)
            out[i * c + j] = table[j * 256 + in[i * c + j]];
}

void nn_conv_i8(const nn_window *w, const nn_quant *q, const int8_t *in, const int8_t *weight,
                const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *out)
{
    const int ci = w->in_c, row = w->kernel_w * ci;
    int y, x, o, ky;
    for (y = 0; y < w->out_h; y++)
        for (x = 0; x < w->out_w; x++, out += w->out_c) {
            const int ky0 = first_inside(y, w->stride_h, w->pad_top);
            const int ky1 = end_inside(y, w->stride_h, w->pad_top, w->kernel_h, w->in_h);
            const int kx0 = first_inside(x, w->stride_w, w->pad_left);
            const int kx1 = end_inside(x, w->stride_w, w->pad_left, w->kernel_w, w->in_w);
            const int top = y * w->stride_h - w->pad_top, left = x * w->stride_w - w->pad_left;
            for (o = 0; o < w->out_c; o++) {
                const int8_t *k = weight + o * w->kernel_h * row + kx0 * ci;
                int32_t sum = bias[o];
                for (ky = ky0; ky < ky1; ky++)
                    sum += dot(in + ((top + ky) * w->in_w + left + kx0) * ci, k + ky * row, (kx1 - kx0) * ci,
                               q->in_zero);
                out[o] = narrow(q, sum, multiplier[o], shift[o]);
            }
        }
}

void nn_depthwise_i8(const nn_window *w, const nn_quant *q, const int8_t *in, const int8_t *weight,
                     const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *out)
{
    const int c = w->in_c;
    int y, x, o, ky, kx, j;
    for (y = 0; y < w->out_h; y++)
        for (x = 0; x < w->out_w; x++, out += c) {
            const int ky0 = first_inside(y, w->stride_h, w->pad_top);
            const int ky1 = end_inside(y, w->stride_h, w->pad_top, w->kernel_h, w->in_h);
            const int kx0 = first_inside(x, w->stride_w, w->pad_left);
            const int kx1 = end_inside(x, w->stride_w, w->pad_left, w->kernel_w, w->in_w);
            const int8_t *corner =
                in + ((y * w->stride_h - w->pad_top) * w->in_w + x * w->stride_w - w->pad_left) * c;
            for (o = 0; o < c; o += BLOCK) {
                const int some = c - o < BLOCK ? c - o : BLOCK;
                int32_t sums[BLOCK];
                for (j = 0; j < some; j++)
                    sums[j] = bias[o + j];
                for (ky = ky0; ky < ky1; ky++)
                    for (kx = kx0; kx < kx1; kx++) {
                        const int8_t *given = corner + (ky * w->in_w + kx) * c + o;
                        const int8_t *k = weight + (ky * w->kernel_w + kx) * c + o;
                        for (j = 0; j < some; j++)
                            sums[j] += (int16_t)(given[j] - q->in_zero) * k[j];
                    }
                for (j = 0; j < some; j++)
                    out[o + j] = narrow(q, sums[j], multiplier[o + j], shift[o + j]);
            }
        }
}

void nn_dense_i8(const nn_quant *q, const int8_t *in, int inputs, int outputs, const int8_t *weight,
                 const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *out)
{
    int o;
    for (o = 0; o < outputs; o++)
        out[o] = narrow(q, bias[o] + dot(in, weight + o * inputs, inputs, q->in_zero), multiplier[o], shift[o]);
}

void nn_max_pool_i8(const nn_window *w, const int8_t *in, int8_t *out)
{
    const int c = w->in_c;
    int y, x, ky, kx, j;
    for (y = 0; y < w->out_h; y++)
        for (x = 0; x < w->out_w; x++, out += c) {
            const int ky0 = first_inside(y, w->stride_h, w->pad_top);
            const int ky1 = end_inside(y, w->stride_h, w->pad_top, w->kernel_h, w->in_h);
            const int kx0 = first_inside(x, w->stride_w, w->pad_left);
            const int kx1 = end_inside(x, w->stride_w, w->pad_left, w->kernel_w, w->in_w);
            const int8_t *corner =
                in + ((y * w->stride_h - w->pad_top) * w->in_w + x * w->stride_w - w->pad_left) * c;
            for (j = 0; j < c; j++) {
                int8_t most = -128;
                for (ky = ky0; ky < ky1; ky++)
                    for (kx = kx0; kx < kx1; kx++) {
                        const int8_t one = corner[(ky * w->in_w + kx) * c + j];
                        most = one > most ? one : most;
                    }
                out[j] = most;
            }
        }
}

void nn_avg_pool_i8(const nn_window *w, const nn_quant *q, const int8_t *in, int32_t multiplier, int shift,
                    int8_t *out)
{
    const int c = w->in_c;
    int y, x, ky, kx, j;
    for (y = 0; y < w->out_h; y++)
        for (x = 0; x < w->out_w; x++, out += c) {
            const int8_t *corner = in + (y * w->stride_h * w->in_w + x * w->stride_w) * c;
            for (j = 0; j < c; j++) {
                int32_t sum = 0;
                for (ky = 0; ky < w->kernel_h; ky++)
                    for (kx = 0; kx < w->kernel_w; kx++)
                        sum += corner[(ky * w->in_w + kx) * c + j] - q->in_zero;
                out[j] = narrow(q, sum, multiplier, shift);
            }
        }
}

void nn_add_i8(const nn_add_quant *q, const int8_t *a, const int8_t *b, int n, int8_t *out)
{
    int i;
    for (i = 0; i < n; i++) {
        const int32_t one = nn_requantise((a[i] - q->a_zero) * (1 << 20), q->a_multiplier, q->a_shift);
        const int32_t two = nn_requantise((b[i] - q->b_zero) * (1 << 20), q->b_multiplier, q->b_shift);
        const int32_t x = nn_requantise(one + two, q->out_multiplier, q->out_shift) + q->out_zero;
        out[i] = (int8_t)(x < q->low ? q->low : x > q->high ? q->high : x);
    }
}

void nn_concat_i8(const int8_t *in, int n, int c, int8_t *out, int out_c, int at)
{
    int i;
    for (i = 0; i < n; i++)
        memcpy(out + i * out_c + at, in + i * c, (unsigned)c);
}

void nn_matmul_i8(const nn_quant *q, const int8_t *in, int times, int m, int k, int n, const int8_t *matrix,
                  const int32_t *multiplier, const int8_t *shift, int8_t *out)
{
    int t, row, i, j;
    for (t = 0; t < times; t++, in += k * n)
        for (row = 0; row < m; row++, out += n)
            for (j = 0; j < n; j++) {
                int32_t sum = 0;
                for (i = 0; i < k; i++)
                    sum += (in[i * n + j] - q->in_zero) * matrix[row * k + i];
                out[j] = narrow(q, sum, multiplier[row], shift[row]);
            }
}

void nn_table_i8(const int8_t *in, int n, const int8_t *table, int8_t *out)
{
    int i;
    for (i = 0; i < n; i++)
        out[i] = table[in[i] + 128];
}

void nn_softmax_i8(const int8_t *in, int n, const uint16_t *table, uint16_t *out)
{
    int8_t most = in[0];
    uint32_t sum = 0;
    int i;
    for (i = 1; i < n; i++)
        most = in[i] > most ? in[i] : most;
    for (i = 0; i < n; i++)
        sum += table[most - in[i]];
    for (i = 0; i < n; i++)
        out[i] = (uint16_t)(((uint32_t)table[most - in[i]] * 32768u + sum / 2) / sum);
}
