/* See olhar_frame.h. The arithmetic is that of Pillow's src/libImaging/Resample.c (8 bits a channel). */
#include "olhar_frame.h"

#define BITS 22 /* 32 - 8 of a pixel - 2, since weights of one output may exceed 1 together */

/* The frame's part that is seen, and the pixels that it becomes. */
typedef struct {
    double left, top, width, height;
    int32_t out_width, out_height;
    int down_first; /* the vertical pass comes first */
} plan;

/* One direction: which inputs each output takes, and with which weights. */
typedef struct {
    double first, scale, support, narrow;
    int32_t in_size, most; /* most: inputs that one output may take */
} axis;

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* To the nearest whole number; a half goes to the even one. For values of at least 0. */
static int32_t nearest(double value)
{
    int32_t whole = (int32_t)value;
    double rest = value - whole;
    if (rest > 0.5 || (rest == 0.5 && whole % 2 == 1)) whole++;
    return whole;
}

static double cubic(double x)
{
    if (x < 0.0) x = -x;
    if (x < 1.0) return ((-0.5 + 2.0) * x - (-0.5 + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * -0.5;
    return 0.0;
}

static plan plan_frame(const olhar_framing *f)
{
    plan p;
    int32_t side;
    double scale;
    p.left = p.top = 0;
    p.width = f->width;
    p.height = f->height;
    p.out_width = p.out_height = f->size;
    if (f->resize == OLHAR_CROP) {
        side = smaller(f->width, f->height);
        p.left = (f->width - side) / 2.0;
        p.top = (f->height - side) / 2.0;
        p.width = p.height = side;
    } else if (f->resize == OLHAR_PAD) {
        scale = f->size / (double)larger(f->width, f->height);
        p.out_width = larger(1, nearest(f->width * scale));
        p.out_height = larger(1, nearest(f->height * scale));
    }
    p.down_first = f->height > p.out_height
                   && f->height - p.out_height > (f->width - p.out_width) * 2;
    return p;
}

static axis plan_axis(double first, double length, int32_t in_size, int32_t out_size)
{
    axis a;
    int32_t whole;
    double wide;
    a.first = first;
    a.scale = length / out_size;
    wide = a.scale < 1.0 ? 1.0 : a.scale;
    a.support = 2.0 * wide;
    a.narrow = 1.0 / wide;
    a.in_size = in_size;
    whole = (int32_t)a.support;
    a.most = (whole + (a.support > whole)) * 2 + 1;
    return a;
}

/* The weights of the inputs that output `at` takes; returns how many, and the first of them. */
static int32_t weigh(const axis *a, int32_t at, int32_t *weights, int32_t *first)
{
    double centre = a->first + (at + 0.5) * a->scale, sum = 0.0;
    int32_t low = (int32_t)(centre - a->support + 0.5), high = (int32_t)(centre + a->support + 0.5);
    int32_t i, count;
    low = larger(low, 0);
    count = smaller(high, a->in_size) - low;
    for (i = 0; i < count; i++) sum += cubic((i + low - centre + 0.5) * a->narrow);
    for (i = 0; i < count; i++) {
        double weight = cubic((i + low - centre + 0.5) * a->narrow);
        if (sum != 0.0) weight /= sum;
        weight *= 1 << BITS;
        weights[i] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    *first = low;
    return count;
}

static uint8_t clip(int32_t sum)
{
    sum >>= BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* Red, green and blue to grey: ITU-R BT.601 in 16 bits. */
static uint8_t luma(int32_t red, int32_t green, int32_t blue)
{
    return (uint8_t)((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16);
}

static int32_t on_white(int32_t value, int32_t opacity)
{
    int32_t sum = 255 * (255 - opacity) + value * opacity + 128;
    return ((sum >> 8) + sum) >> 8;
}

/* One row of a frame as `channels` bytes a pixel. */
static void convert_row(const olhar_framing *f, const uint8_t *row, int32_t channels, uint8_t *out)
{
    int32_t x, red, green, blue, both;
    for (x = 0; x < f->width; x++) {
        if (f->format == OLHAR_RGB888) {
            red = row[3 * x];
            green = row[3 * x + 1];
            blue = row[3 * x + 2];
        } else if (f->format == OLHAR_RGBA8888) {
            red = on_white(row[4 * x], row[4 * x + 3]);
            green = on_white(row[4 * x + 1], row[4 * x + 3]);
            blue = on_white(row[4 * x + 2], row[4 * x + 3]);
        } else {
            both = f->format == OLHAR_RGB565 ? row[2 * x] | row[2 * x + 1] << 8
                                             : row[2 * x] << 8 | row[2 * x + 1];
            red = both >> 11;
            green = both >> 5 & 63;
            blue = both & 31;
            red = red << 3 | red >> 2;
            green = green << 2 | green >> 4;
            blue = blue << 3 | blue >> 2;
        }
        if (channels == 1) {
            out[x] = luma(red, green, blue);
        } else {
            out[3 * x] = (uint8_t)red;
            out[3 * x + 1] = (uint8_t)green;
            out[3 * x + 2] = (uint8_t)blue;
        }
    }
}

/* How many channels are interpolated: a grey frame becomes red, green and blue at the end. */
static int32_t inner_channels(const olhar_framing *f)
{
    return f->format == OLHAR_GREY8 ? 1 : f->channels;
}

/* Whether a row of the frame has to be converted before it is interpolated. */
static int converts(const olhar_framing *f)
{
    return !(f->format == OLHAR_GREY8 || (f->format == OLHAR_RGB888 && f->channels == 3));
}

/* Bytes for rows of the frame that have been converted, and for rows of one pass that wait for the other. */
static void count_rows(const olhar_framing *f, const plan *p, const axis *down, int32_t *converted, int32_t *between)
{
    int32_t channels = inner_channels(f), row = f->width * channels;
    *converted = converts(f) ? row * (p->down_first ? down->most : 1) : 0;
    *between = p->down_first ? row : down->most * p->out_width * channels;
}

int32_t olhar_frame_scratch(const olhar_framing *f)
{
    plan p = plan_frame(f);
    axis across = plan_axis(p.left, p.width, f->width, p.out_width);
    axis down = plan_axis(p.top, p.height, f->height, p.out_height);
    int32_t converted, between;
    count_rows(f, &p, &down, &converted, &between);
    return 4 * (p.out_width * (across.most + 2) + down.most) + converted + between;
}

/* One row of the frame, interpolated across. */
static void resize_row(const uint8_t *row, const int32_t *weights, const int32_t *bounds, int32_t most,
                       int32_t out_width, int32_t channels, uint8_t *out)
{
    int32_t x, i;
    for (x = 0; x < out_width; x++, weights += most, bounds += 2) {
        const uint8_t *from = row + bounds[0] * channels;
        if (channels == 1) {
            int32_t sum = 1 << (BITS - 1);
            for (i = 0; i < bounds[1]; i++) sum += from[i] * weights[i];
            *out++ = clip(sum);
        } else {
            int32_t red = 1 << (BITS - 1), green = red, blue = red;
            for (i = 0; i < bounds[1]; i++, from += 3) {
                red += from[0] * weights[i];
                green += from[1] * weights[i];
                blue += from[2] * weights[i];
            }
            *out++ = clip(red);
            *out++ = clip(green);
            *out++ = clip(blue);
        }
    }
}

/* What lies around the frame's pixels becomes their mean. */
static void pad(uint8_t *input, int32_t size, int32_t channels, const plan *p, int32_t left, int32_t top)
{
    int32_t x, y, c;
    for (c = 0; c < channels; c++) {
        uint32_t sum = 0, count = (uint32_t)(p->out_width * p->out_height);
        uint8_t mean;
        for (y = 0; y < p->out_height; y++)
            for (x = 0; x < p->out_width; x++)
                sum += input[((y + top) * size + x + left) * channels + c];
        mean = (uint8_t)((2 * sum + count) / (2 * count));
        for (y = 0; y < size; y++)
            for (x = 0; x < size; x++)
                if (y < top || y >= top + p->out_height || x < left || x >= left + p->out_width)
                    input[(y * size + x) * channels + c] = mean;
    }
}

/* Output row of the pass down: `rows` lie in a ring of `most`, or one behind the other where it is 0. */
static void resize_down(const uint8_t *rows, intptr_t stride, int32_t most, const int32_t *weights, int32_t first,
                        int32_t count, int32_t bytes, uint8_t *out)
{
    int32_t x, i;
    for (x = 0; x < bytes; x++) {
        int32_t sum = 1 << (BITS - 1), at = most ? first % most : first;
        for (i = 0; i < count; i++) {
            sum += rows[at * stride + x] * weights[i];
            if (++at == most) at = 0;
        }
        out[x] = clip(sum);
    }
}

/* A row in grey becomes red, green and blue in its place. */
static void repeat_greys(uint8_t *row, int32_t width)
{
    int32_t x;
    for (x = width - 1; x >= 0; x--) row[3 * x] = row[3 * x + 1] = row[3 * x + 2] = row[x];
}

void olhar_frame(const olhar_framing *f, const uint8_t *pixels, uint8_t *input, void *scratch)
{
    plan p = plan_frame(f);
    axis across = plan_axis(p.left, p.width, f->width, p.out_width);
    axis down = plan_axis(p.top, p.height, f->height, p.out_height);
    int32_t channels = inner_channels(f), row_bytes = p.out_width * channels, full_bytes = f->width * channels;
    int32_t left = (f->size - p.out_width) / 2, top = (f->size - p.out_height) / 2;
    int32_t *weights_across = (int32_t *)scratch;
    int32_t *bounds = weights_across + p.out_width * across.most;
    int32_t *weights_down = bounds + 2 * p.out_width;
    uint8_t *converted = (uint8_t *)(weights_down + down.most), *between;
    int32_t x, y, next = 0, converted_bytes, between_bytes;
    count_rows(f, &p, &down, &converted_bytes, &between_bytes);
    between = converted + converted_bytes;
    for (x = 0; x < p.out_width; x++)
        bounds[2 * x + 1] = weigh(&across, x, weights_across + x * across.most, bounds + 2 * x);
    for (y = 0; y < p.out_height; y++) {
        int32_t first, count = weigh(&down, y, weights_down, &first);
        uint8_t *out = input + ((y + top) * f->size + left) * f->channels;
        /* A ring holds the last rows of the frame, converted or interpolated: as many as one output takes. */
        for (next = larger(next, first); next < first + count; next++) {
            const uint8_t *row = pixels + (intptr_t)next * f->stride;
            if (converts(f)) {
                uint8_t *place = converted + (p.down_first ? next % down.most * full_bytes : 0);
                convert_row(f, row, channels, place);
                row = place;
            }
            if (!p.down_first)
                resize_row(row, weights_across, bounds, across.most, p.out_width, channels,
                           between + next % down.most * row_bytes);
        }
        if (p.down_first) {
            if (converts(f))
                resize_down(converted, full_bytes, down.most, weights_down, first, count, full_bytes, between);
            else
                resize_down(pixels, f->stride, 0, weights_down, first, count, full_bytes, between);
            resize_row(between, weights_across, bounds, across.most, p.out_width, channels, out);
        } else {
            resize_down(between, row_bytes, down.most, weights_down, first, count, row_bytes, out);
        }
        if (channels < f->channels) repeat_greys(out, p.out_width);
    }
    if (f->resize == OLHAR_PAD && p.out_width * p.out_height < f->size * f->size)
        pad(input, f->size, f->channels, &p, left, top);
}

void olhar_reduce(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, int32_t side,
                  uint8_t *small)
{
    int32_t top, left, x, y, c;
    for (top = 0; top < height; top += side) {
        int32_t bottom = smaller(top + side, height);
        for (left = 0; left < width; left += side) {
            int32_t right = smaller(left + side, width), count = (bottom - top) * (right - left);
            for (c = 0; c < channels; c++) {
                int32_t sum = count / 2;
                for (y = top; y < bottom; y++)
                    for (x = left; x < right; x++) sum += pixels[((intptr_t)y * width + x) * channels + c];
                *small++ = (uint8_t)(sum / count);
            }
        }
    }
}
