/* Reads images from the serial line, answers with their labels.
 *
 * An image is MODEL_INPUT_BYTES bytes: rows, columns, channels. A camera's frame of another size goes through
 * olhar_frame first:
 *
 *     olhar_framing framing = {320, 240, 320 * 2, OLHAR_RGB565_BE, MODEL_WIDTH, MODEL_CHANNELS, MODEL_RESIZE};
 *     olhar_frame(&framing, camera_frame, model_input(), scratch);
 */
#include <model.h>
#include <olhar_frame.h>

void setup()
{
    Serial.begin(115200);
    Serial.setTimeout(60000);
}

void loop()
{
    if (Serial.readBytes((char *)model_input(), MODEL_INPUT_BYTES) != MODEL_INPUT_BYTES)
        return;
    unsigned long began = micros();
    model_run();
    unsigned long took = micros() - began;
    Serial.print(model_classes[model_label()]);
    Serial.print(model_is_sure() ? " " : " (not sure) ");
    Serial.print(took);
    Serial.println(" us");
}
