/* The network, step by step. Weights are in model_weights.h, the operators in olhar_nn.h. */
#include "model.h"

#include "model_weights.h"
#include "olhar_nn.h"

const char *const model_classes[MODEL_CLASSES] = {
@CLASS_NAMES@
};

/* All values of the network, each at its own place; those that are not needed at the same time may share one. */
static union {
    uint8_t bytes[@ARENA_BYTES@];
    float aligned;
} arena;
static model_number probabilities[MODEL_CLASSES];

static const @VALUE@ *run_network(void)
{
@RUN@
    return @LOGITS@;
}

@MODEL_RUN@
const model_number *model_probabilities(void)
{
    return probabilities;
}

int model_label(void)
{
    int best = 0, i;
    for (i = 1; i < MODEL_CLASSES; i++)
        if (probabilities[i] > probabilities[best])
            best = i;
    return best;
}

int model_is_sure(void)
{
    return @SURE@;
}
