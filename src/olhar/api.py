"""What the command line does and no room has as one call: the words of a command as Python's own.

Each is what `olhar.NAME` is, beside the functions that rooms have themselves (see `olhar.__init__`).
Does not know: how anything is done, or how it is printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olhar.errors import ConfigError
from olhar.i18n import Text, _
from olhar.progress import Progress

if TYPE_CHECKING:
    from olhar.check import CheckReport
    from olhar.datasets.forms.export import Exported
    from olhar.datasets.stored import StoredDataset
    from olhar.deploy.endpoint import Deployment
    from olhar.deploy.package import Package
    from olhar.deploy.settings import EndpointSettings
    from olhar.reproduce import Outcome
    from olhar.sweep.records import SweepResult


def sweep(
    data: str | None = None,
    network: str | None = None,
    *,
    out: Path | str | None = None,
    params: Mapping[str, Any] | None = None,
    file: Path | str | None = None,
    recipe: Path | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> SweepResult:
    """Search settings: many trials, one winner, measured once on the test split.

    Args:
        data: name of a data set, or path of a folder of photos.
        network: name of a network.
        out: the sweep's folder; by default runs/DATA-NETWORK-sweep. A sweep that was cut off goes on.
        params: what is searched: by name a list of values, or text as `--param` has it, such as
            {"lr": "log:1e-4:1e-1", "batch_size": [16, 32]}.
        file: a sweep in TOML, or a W&B sweep in YAML; what is given here beats it.
        recipe: a recipe file that all trials begin from.
        progress: hears what is to be said.
        **settings: of the search (trials, method, metric, seed…), of where it runs (workers, engine…),
            of the data (val, size…), and of recipe and network for all trials (epochs, width…).

    Raises:
        ConfigError: a setting that does not exist or cannot be used; `out` is another sweep's.
        DataError: data that cannot be used.
    """
    from olhar.data_settings import DATA
    from olhar.datasets.addresses import plain_name
    from olhar.sweep import sweep as run_sweep
    from olhar.sweep.settings import (
        PLACE,
        SWEEP,
        SweepSettings,
        load_sweep_file,
        merge_values,
    )
    from olhar.sweep.space import parse_distribution

    progress = progress or Progress()

    def pick(known: Mapping[str, Any]) -> dict[str, Any]:
        return {name: settings.pop(name) for name in list(settings) if name in known}

    searching, place, divided = pick(SWEEP), pick(PLACE), pick(DATA)
    given = {
        **searching,
        "network": network,
        "recipe": None if recipe is None else str(recipe),
        "data": {**({} if data is None else {"name": data}), **divided},
        "set": settings,
        "param": {
            name: parse_distribution(name, one) if isinstance(one, str) else one
            for name, one in (params or {}).items()
        },
    }
    begun = load_sweep_file(Path(file), progress) if file is not None else {}
    wanted = SweepSettings.from_dict(merge_values(begun, given))
    stem = f"{plain_name(wanted.data.name)}-{wanted.network}-sweep"
    return run_sweep(wanted, out or Path("runs") / stem, **place, progress=progress)


def check_data(
    data: str,
    *,
    labels: bool = True,
    html: Path | str | None = None,
    backbone: str | None = None,
    weights: str | None = None,
    progress: Progress | None = None,
    **reading: Any,
) -> CheckReport:
    """What is in a data set, and what is wrong with it.

    Args:
        data: name of a data set, or path of a folder of photos.
        labels: whether doubtful labels are looked for, which takes longest.
        html: a page to write; a page of olhar's that lies there is replaced.
        backbone: a network whose features doubtful labels are found by.
        weights: the backbone's.
        progress: hears of the progress.
        **reading: how a table is read, such as file_column (see docs/data.md).

    Raises:
        DataError: data that cannot be used.
        RunExistsError: something else lies where the page is to go.
    """
    from olhar.check import check_page, check_source
    from olhar.data_settings import SourceSettings, source_settings
    from olhar.datasets import open_source
    from olhar.files import check_replaceable, write_atomic
    from olhar.pipeline.label_features import label_features

    progress = progress or Progress()
    if html is not None:
        check_replaceable(Path(html))
    source = open_source(SourceSettings(data, **source_settings(reading)), progress)
    features = label_features(source, backbone, weights, progress) if backbone else None
    report = check_source(source, progress, labels=labels, features=features)
    if html is not None:
        write_atomic(Path(html), check_page(report))
    return report


def push_data(
    data: str,
    store: str,
    name: str | None = None,
    *,
    size: int | None = None,
    progress: Progress | None = None,
    **reading: Any,
) -> StoredDataset:
    """Store a data set's arrays as a version; the next training can name its address.

    Args:
        data: name of a data set, or path of a folder of photos.
        store: URL or folder of a store.
        name: what to call it there; by default the folder's name.
        size: side of the arrays' images in pixels; by default the set's own, of photos 224.
        progress: hears of the bytes.
        **reading: how a table is read, such as file_column (see docs/data.md).

    Raises:
        ConfigError: a name that a store cannot have.
        StoreError: the store cannot be reached, or refuses the login.
    """
    from olhar.data_settings import SourceSettings, source_settings
    from olhar.datasets import open_source
    from olhar.datasets.addresses import plain_name
    from olhar.datasets.arrays import as_arrays
    from olhar.datasets.stored import push_dataset
    from olhar.stores.address import is_url
    from olhar.stores.names import check_name

    progress = progress or Progress()
    called = name or (plain_name(data) if is_url(data) else Path(data).absolute().name)
    check_name(called, _("the name of a data set (choose another with --name)"))
    source = open_source(SourceSettings(data, **source_settings(reading)), progress)
    return push_dataset(as_arrays(source, size, progress), store, called, progress)


def export_data(
    data: str,
    to: str,
    out: Path | str,
    *,
    size: int | None = None,
    progress: Progress | None = None,
    **reading: Any,
) -> Exported:
    """Write a data set in another form.

    Args:
        data: name of a data set, or path of a folder of photos.
        to: folder, csv, parquet, arrow, npz, npy, zip or tar.
        out: what to write; it must not exist.
        size: side of the images in pixels, for npz and npy.
        progress: hears of the progress.
        **reading: how a table is read, such as file_column (see docs/data.md).

    Raises:
        UnknownNameError: no such form.
        RunExistsError: `out` is there.
    """
    from olhar.data_settings import SourceSettings, source_settings
    from olhar.datasets import open_source
    from olhar.datasets.forms.export import export_dataset

    progress = progress or Progress()
    source = open_source(SourceSettings(data, **source_settings(reading)), progress)
    return export_dataset(source, to, Path(out), size, progress)


def card(run: Path | str, **details: str) -> list[Path]:
    """Write the model card of a run, in English and Portuguese.

    Args:
        run: the run folder.
        **details: what only people know, such as purpose="…" (see `olhar card --help`).

    Returns:
        The paths written.
    """
    from olhar.card import write_card
    from olhar.run import RunFolder

    return write_card(RunFolder(run), details=details)


def check_card(run: Path | str) -> list[Text]:
    """What in a run's cards, metrics.json and model/ does not match its other files, a sentence each."""
    from olhar.card import check_card as find_differences
    from olhar.run import RunFolder

    return find_differences(RunFolder(run))


def reproduce(
    *cases: str,
    seeds: int = 3,
    out: Path | str = Path("runs/reproduce"),
    progress: Progress | None = None,
    **settings: Any,
) -> list[Outcome]:
    """Train published experiments anew, each with some seeds.

    Args:
        *cases: their names; by default all.
        seeds: how many seeds each.
        out: the folder of the run folders; runs that are there are gone on with.
        progress: hears of the progress.
        **settings: beat those of the cases, such as epochs.

    Raises:
        UnknownNameError: there is no such case.
    """
    from olhar.reproduce import find_cases
    from olhar.reproduce import reproduce as train_cases

    return train_cases(find_cases(cases), seeds=seeds, out=Path(out), progress=progress, **settings)


def serve(*models: str, progress: Progress | None = None, **settings: Any) -> None:
    """Serve models over HTTP; comes back after Ctrl-C or SIGTERM, when every request is answered.

    Args:
        *models: run folders or addresses, the first is the default; NAME=MODEL gives it another name.
        progress: hears where it is served.
        **settings: of the server, such as host, port, workers, token (see docs/serving.md).

    Raises:
        ConfigError: a setting that cannot be used.
        OlharError: the port is in use, or a model cannot be loaded.
    """
    from olhar.registry import name_models
    from olhar.serving.server import serve as serve_models
    from olhar.serving.settings import SERVE, ServeSettings
    from olhar.settings import check_names

    check_names(settings, SERVE, _("setting of the server"))
    serve_models(name_models(models), ServeSettings(**settings), progress)


@contextmanager
def packed_endpoint(
    model: str,
    *,
    region: str | None,
    role: str,
    image: str,
    bucket: str,
    name: str | None,
    instance: str | None,
    serverless: bool,
    memory_mb: int | None,
    progress: Progress,
) -> Iterator[tuple[EndpointSettings, Package]]:
    """What an endpoint is to be, checked, and the model as it is uploaded, while the block runs.

    Raises:
        ConfigError: settings that exclude each other or cannot be used.
    """
    from olhar.deploy.aws import find_region
    from olhar.deploy.package import packed_model
    from olhar.deploy.settings import EndpointSettings, default_name
    from olhar.registry import model_name

    if bool(instance) == serverless:
        raise ConfigError(_("give either --instance TYPE, such as ml.m5.large, or --serverless"))
    if memory_mb is not None and not serverless:
        raise ConfigError(_("--memory-mb is for --serverless"))
    settings = EndpointSettings(
        name or default_name(model_name(model)),
        find_region(region),
        role,
        image,
        bucket,
        instance,
        **({} if memory_mb is None else {"memory_mb": memory_mb}),
    )
    with packed_model(model, progress) as package:
        yield settings, package


def deploy(
    model: str,
    *,
    role: str,
    image: str,
    bucket: str = "",
    name: str | None = None,
    region: str | None = None,
    instance: str | None = None,
    serverless: bool = False,
    memory_mb: int | None = None,
    progress: Progress | None = None,
) -> Deployment:
    """Make a model an endpoint of SageMaker that answers as it does here, or leave nothing.

    Args:
        model: a run folder or an address.
        role: ARN that SageMaker takes on.
        image: of the container, in ECR.
        bucket: for the model; by default the region's SageMaker bucket.
        name: of the endpoint; by default from the model's.
        region: of AWS; by default that of the login.
        instance: type of machine, such as ml.m5.large; or `serverless`.
        serverless: pay for requests alone.
        memory_mb: of a serverless endpoint.
        progress: hears of the status.

    Raises:
        ConfigError: settings that exclude each other or cannot be used.
        DeployError: AWS refuses, or the endpoint answers otherwise; nothing is left of it.
    """
    from olhar.deploy.endpoint import deploy_model

    progress = progress or Progress()
    with packed_endpoint(
        model,
        region=region,
        role=role,
        image=image,
        bucket=bucket,
        name=name,
        instance=instance,
        serverless=serverless,
        memory_mb=memory_mb,
        progress=progress,
    ) as (settings, package):
        return deploy_model(settings, package, progress)
