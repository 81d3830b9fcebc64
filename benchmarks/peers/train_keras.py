"""The tutorial network in Keras, the tutorial's way: Adam, batches of 32, images / 255."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers
from tutorial import Record, read_arrays, read_task


class Clock(keras.callbacks.Callback):
    """Times each epoch, then measures it on the test set, and stops at the target."""

    def __init__(self, record: Record, images: Any, labels: Any) -> None:
        super().__init__()
        self.record, self.test_images, self.test_labels = record, images, labels

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.record.begin_epoch()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        seconds = self.record.end_epoch()
        logits = self.model.predict(self.test_images, batch_size=1000, verbose=0)
        accuracy = float((logits.argmax(1) == self.test_labels).mean())
        self.model.stop_training = self.record.add(seconds, accuracy)


def main() -> None:
    task = read_task(__doc__ or "")
    keras.utils.set_random_seed(task.seed)
    train_images, train_labels = read_arrays(task, "train")
    test_images, test_labels = read_arrays(task, "test")
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    record = Record(task, len(train_images))
    model.fit(
        train_images.astype(np.float32) / 255,
        train_labels,
        batch_size=32,
        epochs=task.epochs,
        verbose=0,
        callbacks=[Clock(record, test_images.astype(np.float32) / 255, test_labels)],
    )
    record.print("keras", "tensorflow-cpu", "numpy")


if __name__ == "__main__":
    main()
