"""Build src/olhar/native/olhar.wasm from the C beside it, with the compiler of the ziglang package.

The same sources and the same version of ziglang give the same bytes on every machine; a test builds it
again and compares. `python tools/build_wasm.py [FILE]`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

NATIVE = Path(__file__).resolve().parents[1] / "src" / "olhar" / "native"
WASM = NATIVE / "olhar.wasm"
_SOURCES = ("olhar_frame.c", "olhar_nn.c", "olhar_run.c")
_EXPORTS = (
    *("olhar_frame", "olhar_frame_scratch", "olhar_reduce"),
    *("olhar_weights_bytes", "olhar_unpack", "olhar_arena_bytes", "olhar_run", "olhar_run_some"),
    "__heap_base",
)
# There is no C library: memcpy is an instruction here.
_STRING_H = "#define memcpy(to, from, count) __builtin_memcpy(to, from, count)\n"


def build(out: Path) -> None:
    """Compile and link the page's engine to `out`."""
    compile_wasm([NATIVE / "c" / name for name in _SOURCES], _EXPORTS, out)


def compile_wasm(sources: Sequence[Path], exports: Sequence[str], out: Path) -> None:
    """C files that lie in one folder → a WebAssembly module without imports."""
    command = [
        *(sys.executable, "-m", "ziglang", "cc", "--target=wasm32-freestanding", "-std=c99", "-O3"),
        *("-msimd128", "-mbulk-memory", "-ffp-contract=off", "-nostdlib", "-s", "-Wl,--no-entry"),
        "-Wl,-z,stack-size=65536",
        *(f"-Wl,--export={name}" for name in exports),
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "string.h").write_text(_STRING_H)
        aside = Path(folder) / "made.wasm"
        command += ["-I", folder, *(source.name for source in sources), "-o", str(aside)]
        subprocess.run(command, check=True, cwd=sources[0].parent)  # noqa: S603  the pinned compiler
        out.write_bytes(aside.read_bytes())


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else WASM)
    print(WASM, WASM.stat().st_size)
