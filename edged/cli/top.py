"""edgectl top: a live view of rates, latencies, memory and queue; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import termios
import tty
from typing import TYPE_CHECKING, Any

from edged.cli import connect, exits, figures
from edged.cli.table import size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

HISTORY = 600
BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .:-=+*#@"

# ECMA-48 and xterm: the alternate screen, the cursor. Each line is overwritten, then cleared to its end, so
# that nothing flickers and a slow connection carries little more than what is shown.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _TO_LINE_END, _TO_SCREEN_END = "\x1b[H", "\x1b[K", "\x1b[J"
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl top`."""
    parser.add_argument(
        "--interval", type=float, default=1.0, metavar="SECONDS", help="time between readings (default: 1)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="end after N readings")
    parser.add_argument("--plain", action="store_true", help="print a line a reading, as without a terminal")
    connect.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Show readings until q, an interrupt or --count."""
    live = not args.plain and sys.stdin.isatty() and sys.stdout.isatty()
    interval = max(args.interval, 0.1)
    with connect.client(args) as client, _screen() if live else contextlib.nullcontext(_pause) as pause:
        before: dict[str, Any] | None = None
        history: list[float] = []
        shown = 0
        while True:
            stats = client.stats()
            rates = figures.Rates.between(before, stats)
            if before is not None:
                history = [*history[1 - HISTORY :], rates.reviews]
            if live:
                width, height = shutil.get_terminal_size()
                _write(frame(stats, rates, history, width, height, unicode=_unicode()))
            else:
                print(figures.line(stats, rates), flush=True)
            before = stats
            shown += 1
            if shown == args.count or pause(interval):
                return exits.OK


def frame(
    stats: Mapping[str, Any],
    rates: figures.Rates,
    history: list[float],
    width: int,
    height: int,
    *,
    unicode: bool = True,
) -> str:
    """One screen, as what to write to a terminal of width x height characters."""
    lines = [
        _BOLD + f"edged  {figures.headline(stats)}"[:width] + _PLAIN,
        *(text[:width] for text in figures.traffic(stats, rates)),
        _DIM + sparkline(history, width, unicode=unicode) + _PLAIN,
        "",
        *(text[:width] for text in figures.latency_table(stats)),
        "",
        *(text[:width] for text in memory_bars(stats, width, unicode=unicode)),
        "",
        *(text[:width] for text in figures.surroundings(stats)),
        _DIM + "q to quit"[:width] + _PLAIN,
    ]
    body = (_TO_LINE_END + "\n").join(lines[: max(height, 1)])
    return _HOME + body + _TO_LINE_END + _TO_SCREEN_END


def sparkline(history: list[float], width: int, *, unicode: bool = True) -> str:
    """The latest values as a row of blocks, the highest a full one."""
    blocks = BLOCKS if unicode else ASCII_BLOCKS
    latest = history[-width:]
    top = max(latest, default=0.0) or 1.0
    return "".join(blocks[round(value / top * (len(blocks) - 1))] for value in latest)


def memory_bars(stats: Mapping[str, Any], width: int, *, unicode: bool = True) -> list[str]:
    """A bar for each part of the process's memory, as long as its share of the largest."""
    process = stats.get("process")
    if process is None:
        return ["memory: not read yet"]
    found = figures.parts(stats)
    rows = [[name, size(part["pss"]), figures.signed(part["growth"])] for name, part in found]
    texts = figures.grid([["memory, PSS", size(process["pss"]), "growth"], *rows])
    margin = max(map(len, texts)) + 2
    room, largest = max(width - margin, 0), max(part["pss"] for _, part in found) or 1
    full = "█" if unicode else "#"
    bars = [full * round(part["pss"] / largest * room) for _, part in found]
    return [texts[0], *(f"{text:{margin}}{bar}".rstrip() for text, bar in zip(texts[1:], bars))]


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _write(text: str) -> None:
    """Write a frame in one call: half a frame is what flickers."""
    sys.stdout.flush()
    data = text.encode(sys.stdout.encoding or "ascii", "replace")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def _pause(seconds: float) -> bool:
    """Wait; nobody can ask for an end but by an interrupt."""
    select.select([], [], [], seconds)
    return False


@contextlib.contextmanager
def _screen() -> Iterator[Any]:
    """The alternate screen, keys without Enter; yields a pause that tells whether q was pressed."""
    keyboard = sys.stdin.fileno()
    saved = termios.tcgetattr(keyboard)

    def pause(seconds: float) -> bool:
        ready, _, _ = select.select([keyboard], [], [], seconds)
        return bool(ready) and os.read(keyboard, 32)[:1] in (b"q", b"Q", b"\x03", b"\x04", b"")

    try:
        tty.setcbreak(keyboard)
        _write(_ENTER)
        yield pause
    finally:
        _write(_LEAVE)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, saved)
