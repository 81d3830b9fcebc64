"""One training over several processes: who they are, what they tell each other, what they share.

torchrun starts the same command several times and says in the environment which one a process is.
Rank 0 runs the command. The others follow: they wait for rank 0's orders in the key-value store
that torchrun keeps, so bad input is refused by one process, once, before anybody else has read
anything. While a network is trained each rank takes its share of every batch.

Does not know: data sets, run folders, or what stands in an order.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from olhar.cores import count_cores
from olhar.errors import ClusterError, OlharError
from olhar.i18n import Text, _
from olhar.progress import Progress
from olhar.training.machine import Machine, check_device
from olhar.training.torchrun import read_place, read_timeout
from olhar.training.validation import Validate

_CONNECT_S = 60.0
_READY_S = 3600.0  # another machine may have all photos to decode
_POLL_S = 0.05


class Group:
    """The processes of one command.

    Attributes:
        place: of this process.
        timeout_s: how long one waits for another inside a training.
    """

    def __init__(self) -> None:
        """Join.

        Raises:
            ClusterError: the first machine cannot be reached.
        """
        self.place = read_place()
        self.timeout_s = read_timeout()
        self._orders = 0
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        kept_by_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        try:
            self._base = TCPStore(
                host,
                port,
                is_master=self.place.rank == 0 and not kept_by_agent,
                timeout=timedelta(seconds=_CONNECT_S),
                wait_for_workers=False,
            )
        except (RuntimeError, OSError) as error:
            raise ClusterError(
                _(
                    "process {rank} of {size} cannot reach the first one at {host}:{port} "
                    "({reason}); check --rdzv-endpoint or --master-addr, and the firewall",
                    rank=self.place.rank,
                    size=self.place.size,
                    host=host,
                    port=port,
                    reason=str(error).splitlines()[0],
                )
            ) from error
        # torchrun keeps one store over its restarts: an attempt must not read the last one's words.
        self._attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._store = PrefixStore(f"olhar/{self._attempt}", self._base)

    def own_machine(self, machine: Machine) -> Machine:
        """The machine for this rank: its share of the cores, its own GPU.

        Raises:
            ConfigError: more processes than GPUs.
        """
        if machine.device.startswith("cuda"):
            device = f"cuda:{self.place.local_rank}"
            check_device(device)
            torch.cuda.set_device(device)
            machine = dataclasses.replace(machine, device=device)
        threads = max(1, count_cores() // self.place.local_size)
        return dataclasses.replace(machine, threads=threads)

    # What rank 0 says.

    def give_order(self, order: dict[str, Any], progress: Progress) -> int:
        """Tell the others what to prepare, and wait until they have; returns the order's number.

        Raises:
            ClusterError: one of them cannot.
        """
        number, self._orders = self._orders, self._orders + 1
        with self.explained():
            self._store.set(f"order/{number}", json.dumps(order))
        self._wait_for_all(number, progress)
        return number

    def dismiss(self, status: int) -> None:
        """Tell the others that the command has ended with this exit status."""
        with suppress(RuntimeError):
            self._store.set(f"order/{self._orders}", json.dumps({"status": status}))
            if self.place.rank == 0:
                # Where torchrun keeps no store it ends with this process: let all read first.
                self._wait_until(lambda: self._count("left") >= self.place.size - 1, 2.0)

    def _wait_for_all(self, number: int, progress: Progress) -> None:
        others = [f"ready/{number}/{rank}" for rank in range(1, self.place.size)]
        begun, told = time.monotonic(), False
        with self.explained():
            while not self._store.check(others):
                failure = self.failure(number)
                if failure:
                    raise ClusterError(failure)
                waited = time.monotonic() - begun
                if waited > 5 and not told:
                    progress.note(_("waiting for the other processes to open the data"))
                    told = True
                if waited > _READY_S:
                    raise ClusterError(
                        _("not all processes were ready after {seconds} s", seconds=round(waited))
                    )
                time.sleep(_POLL_S)

    # What the others say.

    def hear_order(self, number: int, patience_s: float | None = None) -> dict[str, Any]:
        """Rank 0's order `number`, once it is given; {"status": …} is the end of the command.

        Args:
            number: orders are counted from 0.
            patience_s: how long to wait; None waits as long as rank 0 lives.

        Raises:
            ClusterError: rank 0 has gone, or is silent.
        """
        key = f"order/{number}"
        with self.explained():
            if not self._wait_until(lambda: self._store.check([key]), patience_s):
                raise ClusterError(_("the first process of this training has gone"))
            order: dict[str, Any] = json.loads(self._store.get(key))
            if "status" in order:
                self._store.add("left", 1)
        return order

    def say_ready(self, number: int) -> None:
        """Tell rank 0 that this process has prepared what the order says."""
        with self.explained():
            self._store.set(f"ready/{number}/{self.place.rank}", "")

    def say_failed(self, number: int, reason: str) -> None:
        """Tell rank 0 that this process cannot go on, and why."""
        told = {"rank": self.place.rank, "host": socket.gethostname(), "reason": reason}
        with suppress(RuntimeError):
            self._store.set(f"failed/{number}", json.dumps(told))

    def failure(self, number: int) -> Text | None:
        """What a process said that cannot go on."""
        if not self._store.check([f"failed/{number}"]):
            return None
        told = json.loads(self._store.get(f"failed/{number}"))
        return _(
            "process {rank} of {size}, on {host}, cannot go on: {reason}",
            rank=told["rank"],
            size=self.place.size,
            host=told["host"],
            reason=told["reason"],
        )

    @contextmanager
    def in_turn(self, number: int) -> Iterator[None]:
        """A block that one process a machine runs first, and then the others: it fills the cache."""
        key, first = f"opened/{number}/{self.place.node}", self.place.local_rank == 0
        # Rank 0 has opened the data before it gives an order.
        if not first and self.place.node > 0:
            with self.explained():
                self._wait_until(lambda: self._store.check([key]), _READY_S)
        try:
            yield
        finally:
            if first:
                with suppress(RuntimeError):
                    self._store.set(key, "")

    @contextmanager
    def connect(self, number: int, device: str) -> Iterator[Share]:
        """The exchange of tensors for the training of order `number`, closed after the block."""
        name = torch.device(device).type
        with self.explained(number):
            distributed.init_process_group(
                "nccl" if name == "cuda" else "gloo",
                store=PrefixStore(f"tensors/{self._attempt}/{number}", self._base),
                rank=self.place.rank,
                world_size=self.place.size,
                timeout=timedelta(seconds=self.timeout_s),
            )
        try:
            yield Share(self, number, torch.device(device))
        finally:
            with suppress(RuntimeError):
                distributed.destroy_process_group()

    def last_word(self, number: int) -> Text:
        """Why a partner of a training has gone, if it had time to say."""
        found: list[Text] = []

        def told() -> bool:
            failure = self.failure(number)
            found.extend([failure] if failure else [])
            return bool(found)

        with suppress(RuntimeError):
            self._wait_until(told, 3.0)
        return found[0] if found else _("another process of this training has gone or is silent")

    @contextmanager
    def explained(self, number: int | None = None) -> Iterator[None]:
        """torch's errors of the network become ours."""
        try:
            yield
        except OlharError:
            raise
        except RuntimeError as error:
            lost = _("another process of this training has gone or is silent")
            raise ClusterError(lost if number is None else self.last_word(number)) from error

    def _wait_until(self, reached: Callable[[], bool], patience_s: float | None) -> bool:
        """Ask again and again: unlike the store's own wait, this can be interrupted."""
        begun = time.monotonic()
        while not reached():
            if patience_s is not None and time.monotonic() - begun > patience_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _count(self, key: str) -> int:
        return int(self._store.add(key, 0))


class Share:
    """This process's share of one training, and the sums over all shares.

    Attributes:
        rank: of this process.
        size: of the group.
    """

    def __init__(self, group: Group, number: int, device: torch.device) -> None:
        self.rank, self.size = group.place.rank, group.place.size
        self._group, self._number, self._device = group, number, device

    def rows(self, members: torch.Tensor) -> torch.Tensor:
        """This rank's of `members` (n,): every size-th, so that all shares are alike."""
        return members[self.rank :: self.size]

    @torch.no_grad()
    def sum_gradients(self, network: nn.Module, figures: torch.Tensor) -> None:
        """Replace gradients, and `figures` (n,) float32, by their sums over all ranks.

        One buffer, one exchange a step. torch's DistributedDataParallel would overlap it with the
        backward pass, but it averages, which is wrong for shares of unequal size and for class
        weights, and it renames the weights.
        """
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), figures])
        self._sum(flat)
        _unpack(flat, [*gradients, figures])

    @torch.no_grad()
    def align(self, network: nn.Module) -> None:
        """Give all ranks one network: rank 0's weights, the mean of the running statistics.

        Weights are equal already where all processors round alike. Batch norm normalises with the
        statistics of a rank's own share of the batch (as DistributedDataParallel does; torch's
        SyncBatchNorm does not exist on the CPU).
        """
        trained = {name for name, _weight in network.named_parameters()}
        state = network.state_dict()
        weights = [value for name, value in state.items() if name in trained]
        flat = torch.cat([weight.reshape(-1) for weight in weights])
        with self._group.explained(self._number):
            distributed.broadcast(flat, 0)
        _unpack(flat, weights)
        statistics = [
            value
            for name, value in state.items()
            if name not in trained and value.is_floating_point()
        ]
        if statistics:
            flat = torch.cat([value.reshape(-1) for value in statistics]) / self.size
            self._sum(flat)
            _unpack(flat, statistics)

    def validation(self, validate: Validate, own: int, total: int) -> Validate:
        """`validate` on this rank's `own` rows → (loss, accuracy) on all `total` of them."""

        def whole(network: nn.Module) -> tuple[float, float]:
            loss, accuracy = validate(network) if own else (0.0, 0.0)
            sums = torch.tensor([loss * own, round(accuracy * own)], dtype=torch.float64)
            sums = sums.to(self._device)
            self._sum(sums)
            loss, correct = sums.tolist()
            return loss / total, correct / total

        return whole

    def broadcast_bytes(self, content: bytes) -> bytes:
        """Rank 0's `content`, on every rank."""
        count = torch.tensor([len(content)], device=self._device)
        with self._group.explained(self._number):
            distributed.broadcast(count, 0)
            if not int(count):
                return b""
            if self.rank == 0:
                flat = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(self._device)
            else:
                flat = torch.empty(int(count), dtype=torch.uint8, device=self._device)
            distributed.broadcast(flat, 0)
        return flat.cpu().numpy().tobytes()

    def _sum(self, tensor: torch.Tensor) -> None:
        with self._group.explained(self._number):
            distributed.all_reduce(tensor)


def _unpack(flat: torch.Tensor, targets: list[torch.Tensor]) -> None:
    """Copy a flat tensor's parts back where they came from."""
    for target, part in zip(targets, torch.split(flat, [t.numel() for t in targets]), strict=True):
        target.copy_(part.view(target.shape))


_open: list[Group] = []


def open_group() -> Group:
    """Join the group that torchrun started; from here on every training is shared by it."""
    group = Group()
    _open.append(group)
    return group


def current_group() -> Group | None:
    """The group that this process has joined."""
    return _open[-1] if _open else None
