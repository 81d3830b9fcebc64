# ruff: noqa: F403, F405
# As fastai's documentation has it. Besides: which folder is which, as the set has both, and an entry for
# MobileNetV2, which fastai 2 lacks (and vision_learner drops `cut`: its issue 4027). It is the one that
# fastai 1 had: where the network is cut and split, the normalisation of its weights.
import sys

from fastai.vision.all import *

model_meta[mobilenet_v2] = {
    "cut": -1,
    "split": lambda m: L(m[0][0][:10], m[0][0][10:], m[1:]).map(params),
    "stats": imagenet_stats,
    "weights": "DEFAULT",
}
dls = ImageDataLoaders.from_folder(sys.argv[1], train="train", valid="test", item_tfms=Resize(224))
learn = vision_learner(dls, mobilenet_v2, metrics=accuracy)
learn.fine_tune(4)
probabilities, _ = learn.get_preds()
files = dls.valid.items
answers = [dls.vocab[k] for k in probabilities.argmax(1)]
