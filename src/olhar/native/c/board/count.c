/* Prints how many instructions one run of the model takes: QEMU with -icount shift=0 takes a nanosecond for each, and
 * a counter of the emulated boards goes on by one every 40. */
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "model.h"

#define COUNTER (*(volatile uint32_t *)0x40028018)
#define PRESCALE (*(volatile uint32_t *)0x4002801C)

int main(void)
{
    uint32_t before, after;
    (void)golden_probabilities;
    memcpy(model_input(), golden_images, MODEL_INPUT_BYTES);
    PRESCALE = 0;
    before = COUNTER;
    model_run();
    after = COUNTER;
    printf("instructions: %lu thousand\n", (unsigned long)(after - before) / 25);
    return 0;
}
