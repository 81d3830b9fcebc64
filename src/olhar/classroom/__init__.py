"""For a classroom: one archive that needs no network, and what this computer can do.

Does not know: how a data set is read, or how a network is trained.
"""

from olhar.classroom.doctor import Check, Checkup, examine
from olhar.classroom.packing import Plan, pack, plan_pack
from olhar.classroom.unpacking import Unpacked, unpack

__all__ = ["Check", "Checkup", "Plan", "Unpacked", "examine", "pack", "plan_pack", "unpack"]
