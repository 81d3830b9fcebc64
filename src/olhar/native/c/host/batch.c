/* A model's C called for many images in a row, on the machine where it was written. */
#include <string.h>

#include "model.h"

void batch(const uint8_t *images, int count, model_number *out);

void batch(const uint8_t *images, int count, model_number *out)
{
    int i;
    for (i = 0; i < count; i++, images += MODEL_INPUT_BYTES, out += MODEL_CLASSES) {
        memcpy(model_input(), images, MODEL_INPUT_BYTES);
        model_run();
        memcpy(out, model_probabilities(), MODEL_CLASSES * sizeof *out);
    }
}
