"""The folders that SageMaker and a container share.

    /opt/ml/input/config/hyperparameters.json      settings, all of them strings
    /opt/ml/input/config/inputdataconfig.json      which channels there are
    /opt/ml/input/config/resourceconfig.json       which hosts take part
    /opt/ml/input/data/CHANNEL/                    the files of a channel
    /opt/ml/checkpoints/                           kept in S3, back after a spot interruption
    /opt/ml/model/                                 becomes model.tar.gz; `serve` finds it unpacked
    /opt/ml/output/data/                           becomes output.tar.gz
    /opt/ml/output/failure                         why a training failed

`OLHAR_ML_ROOT` names another folder than /opt/ml. Source: Amazon SageMaker AI Developer Guide, "How
Amazon SageMaker AI provides training information" and "Custom inference code with hosting services".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MlFolder:
    """Places under the folder that SageMaker and the container share."""

    root: Path

    @property
    def hyperparameters(self) -> Path:
        """A JSON object of strings."""
        return self.root / "input/config/hyperparameters.json"

    @property
    def channels(self) -> Path:
        """A JSON object: channel → how it is delivered."""
        return self.root / "input/config/inputdataconfig.json"

    @property
    def resources(self) -> Path:
        """A JSON object: the hosts."""
        return self.root / "input/config/resourceconfig.json"

    @property
    def data(self) -> Path:
        """A folder a channel."""
        return self.root / "input/data"

    @property
    def checkpoints(self) -> Path:
        """What outlives an interruption."""
        return self.root / "checkpoints"

    @property
    def model(self) -> Path:
        """What becomes model.tar.gz."""
        return self.root / "model"

    @property
    def output_data(self) -> Path:
        """What becomes output.tar.gz."""
        return self.root / "output/data"

    @property
    def failure(self) -> Path:
        """A sentence, where a training failed."""
        return self.root / "output/failure"
