/* A frame of any size becomes the network's input, pixel for pixel as olhar's Preprocess makes it.
 *
 * Two passes of bicubic interpolation, as in the Python library Pillow: the filter is as wide as the
 * frame is larger than the input, its weights are whole numbers of 22 bits, and what the first pass
 * gives is rounded to 8 bits before the second. The horizontal pass is the first, or the vertical one where
 * the height shrinks by more than twice as many pixels as the width (Pillow 13). Nothing is allocated: the
 * caller lends memory.
 */
#ifndef OLHAR_FRAME_H
#define OLHAR_FRAME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How the pixels of a frame lie in memory. */
enum {
    OLHAR_GREY8 = 0,     /* one byte */
    OLHAR_RGB888 = 1,    /* red, green, blue */
    OLHAR_RGBA8888 = 2,  /* red, green, blue, opacity; put on white */
    OLHAR_RGB565 = 3,    /* two bytes, the low one first */
    OLHAR_RGB565_BE = 4  /* two bytes, the high one first, as most cameras send them */
};

/* How a frame that is no square becomes one. */
enum {
    OLHAR_CROP = 0,   /* the square in the middle */
    OLHAR_SQUASH = 1, /* both sides to the same length */
    OLHAR_PAD = 2     /* all of it, on its own mean colour */
};

typedef struct {
    int32_t width, height; /* of the frame, in pixels */
    int32_t stride;        /* bytes from one row to the next */
    int32_t format;        /* OLHAR_GREY8 ... */
    int32_t size;          /* side of the input, in pixels */
    int32_t channels;      /* of the input: 1 (grey) or 3 (red, green, blue) */
    int32_t resize;        /* OLHAR_CROP, OLHAR_SQUASH or OLHAR_PAD */
} olhar_framing;

/* How many bytes of scratch memory olhar_frame needs; it must lie at a multiple of 4. */
int32_t olhar_frame_scratch(const olhar_framing *framing);

/* pixels -> input, (size, size, channels) bytes. */
void olhar_frame(const olhar_framing *framing, const uint8_t *pixels, uint8_t *input, void *scratch);

/* The mean of every block of side x side pixels, 1 channel or 3; at the right and lower edge of what
 * is there. `small` has (width + side - 1) / side pixels a row. It may be `pixels` itself. */
void olhar_reduce(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, int32_t side,
                  uint8_t *small);

#ifdef __cplusplus
}
#endif
#endif
