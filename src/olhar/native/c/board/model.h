/* @NAME@: @NETWORK@, @CLASSES@ classes, @PRECISION@.
 *
 * @ORIGIN@
 *
 * An image goes in as @HEIGHT@ x @WIDTH@ pixels of @CHANNELS@ byte(s), by rows; probabilities come out:
 *
 *     memcpy(model_input(), pixels, MODEL_INPUT_BYTES);   or olhar_frame(&framing, frame, model_input(), scratch);
 *     model_run();
 *     puts(model_classes[model_label()]);
 */
#ifndef OLHAR_MODEL_H
#define OLHAR_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_HEIGHT @HEIGHT@
#define MODEL_WIDTH @WIDTH@
#define MODEL_CHANNELS @CHANNELS@
#define MODEL_CLASSES @CLASSES@
#define MODEL_INPUT_BYTES @INPUT_BYTES@
#define MODEL_RESIZE @RESIZE@ /* of olhar_frame.h: how a frame that is no square becomes one */

/* What it costs. @COST@ */
#define MODEL_FLASH_BYTES @FLASH@
#define MODEL_RAM_BYTES @RAM@
#define MODEL_MACS @MACS@ /* multiply-adds for one image */

/* A probability; MODEL_ONE is 1. */
typedef @NUMBER@ model_number;
#define MODEL_ONE @ONE@
#define MODEL_THRESHOLD @THRESHOLD@ /* below it the model is not sure */

extern const char *const model_classes[MODEL_CLASSES];

uint8_t *model_input(void); /* where the pixels go; they are overwritten by model_run */
void model_run(void);
const model_number *model_probabilities(void); /* of the last run */
int model_label(void);                         /* the most probable class of the last run */
int model_is_sure(void);                       /* whether its probability reaches the threshold */

#ifdef __cplusplus
}
#endif
#endif
