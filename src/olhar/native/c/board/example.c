/* Classifies one photo: ./example < photo.ppm (a PGM or PPM file with 8 bits, as most programs write them). */
#include <ctype.h>
#include <stdio.h>

#include "model.h"
#include "olhar_frame.h"

#define MOST_BYTES (1024L * 1024 * 3)

static uint8_t frame[MOST_BYTES];
static uint32_t scratch[1024L * 1024]; /* a board needs less: as many bytes as olhar_frame_scratch says */

static int read_number(void)
{
    int c = getchar(), number = 0;
    while (c == '#' || isspace(c)) {
        if (c == '#')
            while (c != '\n' && c != EOF)
                c = getchar();
        c = getchar();
    }
    for (; isdigit(c) && number < 100000; c = getchar())
        number = number * 10 + c - '0';
    return number;
}

int main(void)
{
    olhar_framing framing;
    long bytes, i;
    int first = getchar(), kind = getchar(), channels = kind == '6' ? 3 : 1;
    framing.width = read_number();
    framing.height = read_number();
    framing.stride = framing.width * channels;
    framing.format = channels == 3 ? OLHAR_RGB888 : OLHAR_GREY8;
    framing.size = MODEL_WIDTH;
    framing.channels = MODEL_CHANNELS;
    framing.resize = MODEL_RESIZE;
    bytes = (long)framing.stride * framing.height;
    if (first != 'P' || (kind != '5' && kind != '6') || read_number() != 255 || bytes < 1 || bytes > MOST_BYTES ||
        olhar_frame_scratch(&framing) > (int32_t)sizeof scratch) {
        fprintf(stderr, "give a PGM or PPM file of 8 bits and at most 3 MiB: ./example < photo.ppm\n");
        return 2;
    }
    if (fread(frame, 1, (size_t)bytes, stdin) != (size_t)bytes) {
        fprintf(stderr, "the file ends too early\n");
        return 2;
    }
    olhar_frame(&framing, frame, model_input(), scratch);
    model_run();
    for (i = 0; i < MODEL_CLASSES; i++)
        printf("%5.1f %%  %s\n", 100.0 * (double)model_probabilities()[i] / MODEL_ONE, model_classes[i]);
    printf("%s%s\n", model_classes[model_label()], model_is_sure() ? "" : " (not sure)");
    return 0;
}
