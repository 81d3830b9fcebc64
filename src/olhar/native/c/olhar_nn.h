/* olhar_nn: the operators of a network, in C99 and nothing else.
 *
 * Values lie as rows, columns and channels: x[row][column][channel]. Weights of a convolution at fp32 lie as
 * [row][column][input][output], in 8 bits as [output][row][column][input]; of a depthwise one as
 * [row][column][channel]; of a dense layer as [input][output] and [output][input].
 *
 * No operator keeps anything between two calls, and none asks for memory.
 */
#ifndef OLHAR_NN_H
#define OLHAR_NN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A window that moves over an image: of a convolution or a pooling. */
typedef struct {
    int in_h, in_w, in_c;   /* what it takes */
    int out_h, out_w, out_c; /* what it gives */
    int kernel_h, kernel_w;
    int stride_h, stride_w;
    int pad_top, pad_left;
} nn_window;

/* An image of h rows and w columns of c channels, moved by dy rows and dx columns (-1 to 1; what comes in at the
 * edge is mirrored there), then mirrored from left to right if `mirror`: a view of it. */
void nn_view_u8(const uint8_t *in, int h, int w, int c, int dy, int dx, int mirror, uint8_t *out);

/* ---- fp32. `low` and `high` limit what is given: a ReLU has 0 and NN_MAX. ---- */

#define NN_MAX 3.4028234e38f

/* n pixels of c channels: (x - mean[c]) * scale[c] */
void nn_pixels_f32(const uint8_t *in, int n, int c, const float *mean, const float *scale, float *out);
void nn_conv_f32(const nn_window *w, const float *in, const float *weight, const float *bias, float low,
                 float high, float *out);
void nn_depthwise_f32(const nn_window *w, const float *in, const float *weight, const float *bias, float low,
                      float high, float *out);
void nn_dense_f32(const float *in, int inputs, int outputs, const float *weight, const float *bias, float low,
                  float high, float *out);
void nn_max_pool_f32(const nn_window *w, const float *in, float *out);
void nn_avg_pool_f32(const nn_window *w, const float *in, float *out);
void nn_add_f32(const float *a, const float *b, int n, float low, float high, float *out);
/* n places of c channels go to places of out_c channels, from channel `at` on */
void nn_concat_f32(const float *in, int n, int c, float *out, int out_c, int at);
/* for each of `times` blocks [k][n]: matrix [m][k] times block -> [m][n]. Rows of an image: one block of
 * n = columns * channels; columns: a block of n = channels for each row. */
void nn_matmul_f32(const float *in, int times, int m, int k, int n, const float *matrix, float *out);
void nn_clip_f32(const float *in, int n, float low, float high, float *out);
void nn_tanh_f32(const float *in, int n, float *out);
void nn_sigmoid_f32(const float *in, int n, float *out);
void nn_silu_f32(const float *in, int n, float *out); /* x * sigmoid(x) */
/* softmax of n numbers, each divided by the temperature first; may write where it reads */
void nn_softmax_f32(const float *in, int n, float temperature, float *out);
float nn_exp_f32(float x); /* within 2e-7 of the value, on every target the same operations */

/* ---- 8 bits. A number q stands for scale * (q - zero).
 *
 * A sum of products is made an 8-bit number by a multiplier (Q31) and a shift for each output channel, as
 * TensorFlow Lite and CMSIS-NN do it. ---- */

typedef struct {
    int in_zero, out_zero;
    int low, high; /* limits of what is given, -128 to 127 */
} nn_quant;

/* x * multiplier / 2^31 * 2^shift, rounded, halves upwards; shift -31 to 30 */
int32_t nn_requantise(int32_t x, int32_t multiplier, int shift);
/* pixels by a table of 256 numbers for each channel */
void nn_pixels_i8(const uint8_t *in, int n, int c, const int8_t *table, int8_t *out);
void nn_conv_i8(const nn_window *w, const nn_quant *q, const int8_t *in, const int8_t *weight,
                const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *out);
void nn_depthwise_i8(const nn_window *w, const nn_quant *q, const int8_t *in, const int8_t *weight,
                     const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *out);
void nn_dense_i8(const nn_quant *q, const int8_t *in, int inputs, int outputs, const int8_t *weight,
                 const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *out);
void nn_max_pool_i8(const nn_window *w, const int8_t *in, int8_t *out);
/* the multiplier divides by the window's size too */
void nn_avg_pool_i8(const nn_window *w, const nn_quant *q, const int8_t *in, int32_t multiplier, int shift,
                    int8_t *out);
/* both are brought to one scale, with 20 bits behind the point, and from it to the scale of the sum */
typedef struct {
    int a_zero, b_zero, out_zero, low, high;
    int32_t a_multiplier, b_multiplier, out_multiplier;
    int a_shift, b_shift, out_shift;
} nn_add_quant;
void nn_add_i8(const nn_add_quant *q, const int8_t *a, const int8_t *b, int n, int8_t *out);
void nn_concat_i8(const int8_t *in, int n, int c, int8_t *out, int out_c, int at);
/* as nn_matmul_f32; a multiplier and a shift for each row of the matrix */
void nn_matmul_i8(const nn_quant *q, const int8_t *in, int times, int m, int k, int n, const int8_t *matrix,
                  const int32_t *multiplier, const int8_t *shift, int8_t *out);
/* tanh, sigmoid, SiLU and what clips: table[q + 128] */
void nn_table_i8(const int8_t *in, int n, const int8_t *table, int8_t *out);
/* softmax of n numbers in units of 1/32768: table[d] is 65535 * exp(-d * scale / temperature), for what is d
 * below the greatest */
void nn_softmax_i8(const int8_t *in, int n, const uint16_t *table, uint16_t *out);

#ifdef __cplusplus
}
#endif
#endif
