/* Does this machine compute what the model computed where it was exported? Prints it, and ends with 0 if so. */
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "model.h"

int main(void)
{
    int wrong = 0, row, i;
    double worst = 0;
    for (row = 0; row < GOLDEN_COUNT; row++) {
        const model_number *found;
        memcpy(model_input(), golden_images + (long)row * MODEL_INPUT_BYTES, MODEL_INPUT_BYTES);
        model_run();
        found = model_probabilities();
        for (i = 0; i < MODEL_CLASSES; i++) {
            double less = (double)found[i] - (double)golden_probabilities[row * MODEL_CLASSES + i];
            less = less < 0 ? -less : less;
            worst = less > worst ? less : worst;
            wrong += !(less <= GOLDEN_TOLERANCE);
        }
    }
    printf("%d images, %d classes: ", GOLDEN_COUNT, MODEL_CLASSES);
    printf(wrong ? "%d probabilities differ, " : "all probabilities agree, ", wrong);
    printf("the largest difference is %d millionths (allowed: %d)\n", (int)(worst / MODEL_ONE * 1e6 + 0.5),
           (int)((double)GOLDEN_TOLERANCE / MODEL_ONE * 1e6 + 0.5));
    return wrong != 0;
}
