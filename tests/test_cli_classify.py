"""edgectl classify, run as people run it, against the real daemon."""

from __future__ import annotations

import array
import csv
import fcntl
import gzip
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any

import pytest

from edged import Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.daemon import Daemon

EDGECTL = [sys.executable, "-m", "edged.cli"]
TEXTS = [f"Glass {n} was {'wonderful' if n % 3 else 'awful'}, truly." for n in range(1000)]


def edgectl(
    *arguments: str | Path, daemon: Daemon | None = None, stdin: str | bytes = b"", timeout: float = 100
) -> subprocess.CompletedProcess[str]:
    """Run edgectl with no terminal; the daemon's endpoint comes from the environment."""
    environment = {**os.environ, "PYTHONUTF8": "1"}
    if daemon is not None:
        environment["EDGED_ENDPOINT"] = daemon.endpoint
    done = subprocess.run(
        [*EDGECTL, *map(str, arguments)],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        env=environment,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.jsonl"
    path.write_text("".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(TEXTS)))
    return path


def test_a_text(shared_daemon: Daemon) -> None:
    done = edgectl("classify", "A wonderful wine, long and elegant.", daemon=shared_daemon)
    label, score, flags = done.stdout.rstrip("\n").split("\t")
    assert (done.returncode, done.stderr) == (0, "")
    assert (label, flags) == ("positive", "-")
    assert 0.5 <= float(score) <= 1


def test_a_text_as_json(shared_daemon: Daemon) -> None:
    done = edgectl("classify", "--to", "jsonl", "--text", "reviews.csv", daemon=shared_daemon)
    assert json.loads(done.stdout).keys() >= {"row", "label", "score"}


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz", "r.csv", "r.csv.gz", "r.tsv", "r.txt", "r.txt.gz"])
def test_every_format_of_file_gives_what_the_client_gives(
    shared_daemon: Daemon, tmp_path: Path, name: str
) -> None:
    path, out = tmp_path / name, tmp_path / "out.jsonl"
    texts = TEXTS[:100]
    opener: Any = gzip.open if name.endswith(".gz") else open
    with opener(path, "wt", newline="") as file:
        if ".txt" in name:
            file.writelines(text + "\n" for text in texts)
        elif ".jsonl" in name:
            file.writelines(json.dumps({"points": 90, "text": text}) + "\n" for text in texts)
        else:
            writer = csv.writer(file, delimiter="\t" if ".tsv" in name else ",")
            writer.writerows([["points", "Description"], *([90, text] for text in texts)])
    done = edgectl("classify", path, "--out", out, daemon=shared_daemon)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with Client(shared_daemon.endpoint, timeout=60) as client:
        expected = client.classify(texts)
    assert [(r["row"], r["text"], r["label"], r["score"]) for r in records(out)] == [
        (number, text, prediction.label, prediction.score)
        for number, (text, prediction) in enumerate(zip(texts, expected), 1)
    ]


def test_csv_out_survives_commas_quotes_and_line_ends(shared_daemon: Daemon, tmp_path: Path) -> None:
    texts = ['so "good", really', "two\nlines", "emoji 🍷, naïve", " padded "]
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "review"], *enumerate(texts)])
    done = edgectl("classify", path, "--out", out, "--keep", "id", daemon=shared_daemon)
    assert done.returncode == 0, done.stderr
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == texts
    assert [(row["row"], row["id"]) for row in rows] == [("1", "0"), ("2", "1"), ("3", "2"), ("4", "3")]
    assert {row["label"] for row in rows} <= {"positive", "negative"}


def test_standard_input_and_output(shared_daemon: Daemon) -> None:
    done = edgectl("classify", "-", daemon=shared_daemon, stdin="wonderful\n\nawful and sour\n")
    assert [line.split("\t")[3] for line in done.stdout.splitlines()] == ["wonderful", "awful and sour"]
    done = edgectl("classify", "-", "--no-text", daemon=shared_daemon, stdin='{"text":"wonderful"}\n')
    assert done.stdout.split("\t")[0] == "positive"
    assert "wonderful" not in done.stdout


def test_live_answers_each_line_at_once(shared_daemon: Daemon) -> None:
    environment = {**os.environ, "EDGED_ENDPOINT": shared_daemon.endpoint}
    with subprocess.Popen(
        [*EDGECTL, "classify", "-", "--live"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in (b"wonderful\n", b"awful\n"):
            process.stdin.write(text)
            process.stdin.flush()
            assert process.stdout.readline().endswith(b"\t" + text)
        process.stdin.close()
        assert process.wait(100) == 0


def test_columns_by_name_by_position_and_by_length(shared_daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "wine.csv"
    path.write_text(
        "id,notes,title\n1,a wonderful long finish and more,Text\n2,an awful smell and worse,Text\n"
    )

    def texts(*arguments: str) -> list[str]:
        done = edgectl("classify", path, *arguments, daemon=shared_daemon)
        assert done.returncode == 0, done.stderr
        return [line.split("\t")[3] for line in done.stdout.splitlines()]

    assert texts()[0] == "a wonderful long finish and more"
    assert texts("--column", "title") == ["Text", "Text"]
    assert texts("--column", "1") == ["1", "2"]
    done = edgectl("classify", path, "--column", "nope", daemon=shared_daemon)
    assert done.returncode == 65
    assert 'no column "nope"; there are: id, notes, title\nhint: ' in done.stderr


def test_bad_rows_lose_nothing_of_the_others(shared_daemon: Daemon, tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = ['{"text":"fine"}', "{broken", '{"text":5}', '{"other":1}', "[1]", '"just a string"']
    lines += [json.dumps({"text": "x" * 100_000}), json.dumps({"text": "lone \ud800"}), '{"text":"last"}']
    path.write_text("\n".join(lines) + "\n")
    done = edgectl("classify", path, "--out", out, daemon=shared_daemon)
    assert done.returncode == 65
    assert (
        "5 of 9 rows could not be scored (4 bad_row, 1 too_large); first: row 2: not valid JSON"
        in done.stderr
    )
    got = records(out)
    assert [record["row"] for record in got] == list(range(1, 10))
    assert [record["row"] for record in got if "label" in record] == [1, 6, 8, 9]
    assert got[2]["error"]["message"] == 'column "text" holds 5, not a text'
    assert got[6]["error"]["code"] == "too_large"
    assert done.stderr.count("\n") == 1


def test_bytes_that_are_no_utf8_are_read_all_the_same(shared_daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"caf\xe9 wonderful\n\xef\xbb\xbfawful\n")
    done = edgectl("classify", path, "--to", "jsonl", daemon=shared_daemon)
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[0])["text"] == "caf\ufffd wonderful"


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"\x1f\x8b\x08\x00broken", "r.txt.gz", "r.txt.gz: "),
        (b"not gzip at all", "r.jsonl.gz", "Not a gzipped file"),
        (gzip.compress(b"one\ntwo\n" * 1000)[:-20], "r.txt.gz", "r.txt.gz: "),
        (b"text\n" + b'"' + b"x" * 17_000_000 + b'"\n', "r.csv", "16,777,216 characters"),
        (b"", "r.csv", 'no column "text"'),
    ],
    ids=["broken gzip", "no gzip", "gzip cut short", "endless line", "empty CSV"],
)
def test_files_that_are_not_what_they_seem(
    shared_daemon: Daemon, tmp_path: Path, content: bytes, name: str, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    done = edgectl("classify", path, daemon=shared_daemon)
    assert (done.returncode, "Traceback" in done.stderr) == (65, False)
    assert said in done.stderr


def test_an_empty_file_is_no_error(shared_daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    done = edgectl("classify", tmp_path / "empty.txt", "--summary", daemon=shared_daemon)
    assert (done.returncode, done.stdout) == (0, "")
    assert "0 reviews" in done.stderr


def test_summary(shared_daemon: Daemon, jsonl: Path, tmp_path: Path) -> None:
    deadline = time.monotonic() + 60
    with Client(shared_daemon.endpoint, timeout=60) as client:
        while "process" not in client.stats():  # it weighs itself a moment after it got ready
            assert time.monotonic() < deadline
            time.sleep(0.05)
    done = edgectl("classify", jsonl, "--out", tmp_path / "o.jsonl", "--summary", daemon=shared_daemon)
    assert done.returncode == 0
    assert "1,000 reviews in" in done.stderr
    for word in ("positive", "negative", "reviews/s", "p99", "PSS", "RSS", "USS"):
        assert word in done.stderr


# Each batch waits for a byte of the test's, until the test closes the gate's other end.
GATED = """
from pathlib import Path
gate = Path(__file__).with_name("gate").open("rb", buffering=0)
def process_batch(texts):
    if any(text.startswith("Glass") for text in texts):
        gate.read(1)
    return [("x", 0.5)] * len(texts)
"""


def let_one_through(gate: int) -> None:
    """Let one batch through, unless the last one that may go has not gone yet."""
    waiting = array.array("i", [0])
    fcntl.ioctl(gate, termios.FIONREAD, waiting)
    if waiting[0] == 0:
        os.write(gate, b"1")


class TestResume:
    """An output file is its own record of what is done."""

    def whole(self, daemon: Daemon, jsonl: Path, path: Path, *options: str) -> bytes:
        done = edgectl("classify", jsonl, "--out", path, *options, daemon=daemon)
        assert done.returncode == 0, done.stderr
        return path.read_bytes()

    @pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.txt"])
    @pytest.mark.parametrize("left", [0, 1, 17, 40_000, 66_000, None], ids=str)
    def test_a_cut_off_output_is_completed_to_the_byte(
        self, shared_daemon: Daemon, jsonl: Path, tmp_path: Path, name: str, left: int | None
    ) -> None:
        out = tmp_path / name
        expected = self.whole(shared_daemon, jsonl, out, "--keep", "id")
        os.truncate(out, len(expected) if left is None else min(left, len(expected) - 1))
        assert self.whole(shared_daemon, jsonl, out, "--resume", "--keep", "id") == expected

    def test_a_tail_of_zeros_as_a_power_cut_leaves_it(
        self, shared_daemon: Daemon, jsonl: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out.jsonl"
        expected = self.whole(shared_daemon, jsonl, out)
        out.write_bytes(expected[:10_000] + bytes(4096))
        assert self.whole(shared_daemon, jsonl, out, "--resume") == expected

    def test_without_an_output_it_starts(self, shared_daemon: Daemon, jsonl: Path, tmp_path: Path) -> None:
        out = tmp_path / "new.jsonl"
        assert len(self.whole(shared_daemon, jsonl, out, "--resume").splitlines()) == 1000

    def test_interrupted_by_ctrl_c_and_by_a_crash(
        self, make_daemon: Callable[..., Daemon], jsonl: Path, tmp_path: Path
    ) -> None:
        daemon = make_daemon(max_batch_size=8, handler_timeout="200s")
        daemon.handler(GATED)
        os.mkfifo(daemon.folder / "gate")
        gate = os.open(daemon.folder / "gate", os.O_RDWR)  # which waits for no reader
        out = tmp_path / "out.jsonl"
        command = [*EDGECTL, "classify", str(jsonl), "--out", str(out), "--resume", "--batch", "8"]
        with daemon.start():
            environment = {**os.environ, "EDGED_ENDPOINT": daemon.endpoint}
            for number in (signal.SIGINT, signal.SIGKILL):
                process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
                before = out.stat().st_size if out.exists() else 0
                while (out.stat().st_size if out.exists() else 0) <= before:
                    let_one_through(gate)
                    time.sleep(0.01)
                process.send_signal(number)
                _, said = process.communicate(timeout=100)
                if number == signal.SIGINT:
                    assert process.returncode == 130
                    assert b"the same command with --resume goes on" in said
                    assert b"Traceback" not in said
            assert 0 < len(out.read_bytes().splitlines()) < 1000
            os.close(gate)
            done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert [record["text"] for record in records(out)] == TEXTS

    @pytest.mark.parametrize(
        ("content", "options", "said"),
        [
            ('{"row":1,"text":"another text"}\n', ["--resume"], "row 1 of .* is not the one"),
            ('{"row":1}\n{"row":3}\n{"row":4}\n', ["--resume"], "after 1 rows comes something else"),
            ('{"some":"thing"}\n{"else":1}\n', ["--resume"], "cannot be resumed"),
            (
                "".join(f'{{"row":{n}}}\n' for n in range(1, 1200)),
                ["--resume"],
                "1,199 rows, but .* only 1,000",
            ),
            ('{"row":1}\n', [], "is there already\nhint: go on with --resume, or .*--force"),
        ],
    )
    def test_a_file_of_something_else_is_left_alone(  # noqa: PLR0917 - fixtures
        self,
        shared_daemon: Daemon,
        jsonl: Path,
        tmp_path: Path,
        content: str,
        options: list[str],
        said: str,
    ) -> None:
        import re

        out = tmp_path / "out.jsonl"
        out.write_text(content)
        done = edgectl("classify", jsonl, "--out", out, *options, daemon=shared_daemon)
        assert done.returncode == (65 if options else 73)
        assert re.search(said, done.stderr), done.stderr
        assert out.read_text() == content

    def test_it_needs_an_output_file(self, shared_daemon: Daemon, jsonl: Path) -> None:
        done = edgectl("classify", jsonl, "--resume", daemon=shared_daemon)
        assert (done.returncode, "--resume needs --out" in done.stderr) == (64, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["classify"], 64, "required: TEXT|FILE|-"),
        (["classify", "a", "--to", "xml"], 64, "invalid choice"),
        (["classify", "a", "--batch", "0"], 64, "at least 1"),
        (["classify", "missing.csv"], 66, "no file missing.csv\nhint: .*--text"),
        (["classify", "some/where"], 66, "no file some/where"),
        (["classify", "a", "--endpoint", "nonsense"], 78, "nonsense: "),
        (["classify", "a", "--endpoint", "ipc:///tmp/no/such", "--timeout", "0.2"], 69, "nobody listens"),
        (["classify", "a", "--server-key", "short"], 78, "cannot read the key file"),
        (["nonsense"], 64, "invalid choice: 'nonsense'"),
    ],
)
def test_what_goes_wrong_has_its_exit_code(arguments: list[str], code: int, said: str) -> None:
    import re

    done = edgectl(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert re.search(said, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_that_cannot_be_made(shared_daemon: Daemon, jsonl: Path, tmp_path: Path) -> None:
    done = edgectl("classify", jsonl, "--out", tmp_path / "no" / "o.jsonl", daemon=shared_daemon)
    assert (done.returncode, "cannot write" in done.stderr) == (73, True)
    done = edgectl("classify", jsonl, "--out", "/dev/full", "--to", "jsonl", daemon=shared_daemon)
    assert done.returncode == 74
    assert "No space left" in done.stderr


def test_a_reader_that_leaves_early_is_no_error(shared_daemon: Daemon, jsonl: Path) -> None:
    command = f"{sys.executable} -m edged.cli classify {jsonl} | head -n 1"
    environment = {**os.environ, "EDGED_ENDPOINT": shared_daemon.endpoint}
    done = subprocess.run(["bash", "-c", command], capture_output=True, env=environment, check=False)
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


def test_progress_is_for_terminals_only(shared_daemon: Daemon, jsonl: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "EDGED_ENDPOINT": shared_daemon.endpoint}
    command = [*EDGECTL, "classify", str(jsonl), "--out", str(tmp_path / "o.jsonl")]
    with subprocess.Popen(command, env=environment, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    assert b"100%  1,000 reviews" in shown
    assert b" left" in shown


@pytest.mark.timeout(600)
def test_a_hundred_thousand_rows_in_constant_memory(shared_daemon: Daemon, tmp_path: Path) -> None:
    peak = []
    for rows in (2_000, 100_000):
        path = tmp_path / f"{rows}.txt"
        with path.open("w") as file:
            file.writelines(f"{TEXTS[n % 1000]} {n}\n" for n in range(rows))
        # Not getrusage's: there the peak of the process that forks, this one, counts too.
        code = (
            "import sys; from edged.cli import main; code = main(sys.argv[1:]);"
            "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]); sys.exit(code)"
        )
        out = tmp_path / f"{rows}.jsonl"
        done = subprocess.run(
            [sys.executable, "-c", code, "classify", str(path), "--out", str(out)],
            env={**os.environ, "EDGED_ENDPOINT": shared_daemon.endpoint},
            capture_output=True,
            check=True,
        )
        peak.append(int(done.stdout))
        assert out.read_bytes().count(b"\n") == rows
    assert peak[1] < peak[0] + 2048, f"peak RSS in KiB: {peak}"
