"""Checkpoints: what comes back is what was saved, bit for bit, and a kill at any moment leaves a usable one."""

import errno
import hashlib
import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlib.errors import CheckpointError
from ganlib.lab import checkpoint
from ganlib.lab.checkpoint import check_settings, load, newest, save
from ganlib.nets import weights

SETTINGS = {"run": "mnist-paper", "k": 1, "d_lr": 0.1, "dropout": True, "note": None}
RECORD = {"iterations": [100, 200], "d_loss": [1.3862943611198906, -0.0], "état": {"next": 3}}
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int64, torch.bool]


def state(fill=0.0):
    return {"G.weight": torch.full((3, 4), fill), "rng": torch.arange(16, dtype=torch.uint8)}


def bits(tensor):
    return tensor.dtype, tuple(tensor.shape), tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def forged(path, info, tensors=None):
    """A safetensors file by other hands, with whatever it says it is."""
    metadata = {"ganlib": info if isinstance(info, str) else json.dumps(info)}
    safetensors.torch.save_file(tensors or {"w": torch.zeros(2)}, path, metadata)
    return path


@st.composite
def tensors(draw):
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    if dtype == torch.bool:
        return torch.rand(shape, generator=rng) < 0.5
    size = math.prod(shape) * dtype.itemsize
    raw = torch.randint(256, (size,), generator=rng, dtype=torch.uint8)  # any bits: nan payloads and -0.0 too
    return raw.view(dtype).reshape(shape) if size else torch.empty(shape, dtype=dtype)


integers = st.integers(-(2**63), 2**64 - 1)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | st.text()
keys = st.text(min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(
    state=st.dictionaries(st.text('abc.é"\\\n/', min_size=1, max_size=6), tensors(), max_size=5),
    asked=st.dictionaries(keys, scalars, max_size=5),
    record=st.dictionaries(keys, st.lists(scalars | st.lists(scalars, max_size=3), max_size=4), max_size=3),
    iteration=st.integers(0, 10**12),
)
def test_everything_comes_back_bit_for_bit(state, asked, record, iteration):
    with tempfile.TemporaryDirectory() as folder:
        path = save(folder, iteration, state, asked, record)
        assert names(folder) == [f"checkpoint-{iteration:09d}.safetensors"]
        got, refused = newest(folder)
        assert refused == []
        assert (got.path, got.iteration) == (path, iteration)
        assert (repr(sorted(got.settings.items())), repr(got.record)) == (repr(sorted(asked.items())), repr(record))
        assert {name: bits(t) for name, t in got.tensors.items()} == {name: bits(t) for name, t in state.items()}
        other = Path(folder, "copy")  # the same state is the same file, byte for byte
        assert save(other, iteration, state, asked, record).read_bytes() == path.read_bytes()


def test_shared_storage_layouts_and_gradients(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    module = torch.nn.Linear(4, 3)
    views = {
        "base": base, "same": base, "transposed": base.T, "row": base[1], "column": base[:, 2], "tail": base[1:],
        "expanded": torch.ones(1).expand(5), "weight": module.weight,
        "conjugate's imaginary part": torch.tensor([1 + 2j]).conj().imag, "empty": base[:0], "alias": base[:0],
    }  # fmt: skip
    got = load(save(tmp_path, 1, views, {}, {})).tensors
    assert got.keys() == views.keys()
    for name, tensor in views.items():
        assert torch.equal(got[name], tensor.detach()), name
    before = got["same"].clone()
    got["base"].zero_()  # each has its own, writable memory
    assert torch.equal(got["same"], before)
    assert not got["weight"].requires_grad


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return save(tmp_path_factory.mktemp("original"), 12345, state(0.5), SETTINGS, RECORD).read_bytes()


def test_the_digest_is_of_every_other_byte_and_no_pickle_is_inside(original):
    """Checked without ganlib: with struct, json and hashlib alone."""
    (size,) = struct.unpack("<Q", original[:8])
    metadata = json.loads(original[8 : 8 + size])["__metadata__"]
    assert list(metadata) == ["ganlib"]
    info = json.loads(metadata["ganlib"])
    assert (info["format"], info["iteration"], info["settings"], info["record"]) == (1, 12345, SETTINGS, RECORD)
    head, tail = original.split(info["sha256"].encode())
    assert hashlib.sha256(head + tail).hexdigest() == info["sha256"]
    assert {name: bits(t) for name, t in safetensors.torch.load(original).items()} == {
        name: bits(t) for name, t in state(0.5).items()
    }


def test_every_truncation_is_refused(tmp_path, original):
    path = tmp_path / "checkpoint-000012345.safetensors"
    for length in range(len(original)):
        path.write_bytes(original[:length])
        with pytest.raises(CheckpointError, match=r"checkpoint-000012345\.safetensors: (empty|truncated)"):
            load(path)
    path.write_bytes(original)
    assert load(path).iteration == 12345


def test_every_changed_byte_is_refused(tmp_path, original):
    path, rng = tmp_path / "checkpoint-000012345.safetensors", random.Random(0)
    for position in range(len(original)):
        for flip in (1 << rng.randrange(8), rng.randrange(1, 256), 0x20 ^ 0x09):  # the last: a padding blank to a tab
            changed = bytearray(original)
            changed[position] ^= flip
            path.write_bytes(changed)
            with pytest.raises(CheckpointError):
                load(path)


def test_appended_bytes_are_refused(tmp_path, original):
    path = tmp_path / "long.safetensors"
    path.write_bytes(original + b"\0")
    with pytest.raises(CheckpointError, match="SHA-256"):
        load(path)


FIELDS = {"format": 1, "iteration": 1, "settings": {}, "record": {}}
FOREIGN = {
    "another program's": lambda path: safetensors.torch.save_file({"w": torch.zeros(2)}, path, {"format": "pt"}),
    "without metadata": lambda path: safetensors.torch.save_file({"w": torch.zeros(2)}, path),
    "another format": lambda path: forged(path, {"format": 2, "iteration": 1}),
    "bad JSON": lambda path: forged(path, '{"format": 1,'),
    "too deep JSON": lambda path: forged(path, "[" * 100_000),
    "not an object": lambda path: forged(path, [1]),
    "fields missing": lambda path: forged(path, {"format": 1, "iteration": 1, "sha256": "0" * 64}),
    "field of another type": lambda path: forged(path, {**FIELDS, "settings": 3, "sha256": "0" * 64}),
    "empty digest": lambda path: forged(path, {**FIELDS, "sha256": ""}),
    "odd digest": lambda path: forged(path, {**FIELDS, "sha256": "\ud800"}),
    "text": lambda path: path.write_text("not a checkpoint, but somebody's notes"),
    "header of a list": lambda path: path.write_bytes(struct.pack("<Q", 2) + b"[]"),
    "a pickle": lambda path: torch.save({"w": torch.zeros(2)}, path),
    "empty": lambda path: path.write_bytes(b""),
    "a header too long": lambda path: path.write_bytes(struct.pack("<Q", 11_000_000) + b"[" * 11_000_000),
    "a name twice": lambda path: forged(path, '{"format": 1, "format": 1}'),
    "no number": lambda path: forged(path, '{"format": NaN}'),
    "true for 1": lambda path: forged(path, {**FIELDS, "format": True, "sha256": "0" * 64}),
    "before the beginning": lambda path: forged(path, {**FIELDS, "iteration": -1, "sha256": "0" * 64}),
    "an iteration that is none": lambda path: forged(path, {**FIELDS, "iteration": True, "sha256": "0" * 64}),
    "after the end": lambda path: forged(path, {**FIELDS, "iteration": 10**18, "sha256": "0" * 64}),
    "a folder": lambda path: path.mkdir(),
}
REASONS = {
    "another format": "format 2; this version of ganlib reads format 1",
    "bad JSON": "not JSON",
    "fields missing": "lacks settings, record",
    "field of another type": "lacks settings",
    "empty digest": "lacks the digest",
    "odd digest": "not JSON",
    "empty": "empty",
    "a header too long": "its header has 11,000,000 bytes; no checkpoint's has more than 10,000,000",
    "a name twice": "'format' twice",
    "no number": "NaN, which is no finite number",
    "true for 1": "of format True",
    "before the beginning": "iteration is -1",
    "an iteration that is none": "lacks iteration",
    "after the end": "it must be from 0 to",
    "a folder": "not a file",
    "another program's": "another program's",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_refused_by_name_and_never_touched(tmp_path, kind):
    path = tmp_path / "checkpoint-000000007.safetensors"
    FOREIGN[kind](path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert REASONS.get(kind, "") in str(caught.value)
    assert newest(tmp_path)[0] is None
    written = [save(tmp_path, i, state(), SETTINGS, RECORD, keep=1) for i in (5, 7, 7, 8)]
    assert [p.name for p in written] == [
        "checkpoint-000000005.safetensors", "checkpoint-000000007-1.safetensors", "checkpoint-000000007-1.safetensors",
        "checkpoint-000000008.safetensors",
    ]  # fmt: skip
    assert names(tmp_path) == [path.name, "checkpoint-000000008.safetensors"]  # own ones pruned, the foreign one not
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_missing_file_a_link_to_nothing_and_a_pipe(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.safetensors: there is no such file"):
        load(tmp_path / "gone.safetensors")
    link, pipe = tmp_path / "checkpoint-000000001.safetensors", tmp_path / "checkpoint-000000002.safetensors"
    link.symlink_to("nowhere")
    os.mkfifo(pipe)
    assert [len(newest(tmp_path)[1]), newest(tmp_path)[0]] == [2, None]  # and does not wait for the pipe
    assert save(tmp_path, 1, state(), SETTINGS, RECORD).name == "checkpoint-000000001-1.safetensors"
    assert link.is_symlink()


def test_the_newest_complete_one_is_found_and_newer_ones_are_reported(tmp_path):
    assert newest(tmp_path / "nothing here") == (None, [])
    paths = [save(tmp_path, i, state(i), SETTINGS, RECORD, keep=9) for i in (5, 40, 300)]
    paths.append(save(tmp_path, 10**9, state(10**9), SETTINGS, RECORD, keep=9))  # ten digits come after nine
    (tmp_path / ".checkpoint-000000999.1-abc.tmp").write_bytes(b"half")
    (tmp_path / "notes.safetensors").write_bytes(b"other")
    assert newest(tmp_path)[0].iteration == 10**9
    paths[0].write_bytes(b"damaged, but older than the one found")
    paths[3].write_bytes(paths[3].read_bytes()[:-1])
    paths[2].rename(tmp_path / "checkpoint-000000500.safetensors")
    got, refused = newest(tmp_path)
    assert got.iteration == 40
    assert ["checkpoint-1000000000.safetensors" in str(refused[0]), "iteration 300" in str(refused[1])] == [True, True]
    assert len(refused) == 2
    assert load(tmp_path / "checkpoint-000000500.safetensors").iteration == 300  # asked for by name, it is good
    with pytest.raises(CheckpointError, match="not a folder"):
        newest(paths[1])


def test_pruning_counts_complete_checkpoints_of_this_run_only(tmp_path):
    for i in (1, 2, 3, 4):
        save(tmp_path, i, state(i), SETTINGS, RECORD, keep=9)
    other = save(tmp_path, 2, state(), {**SETTINGS, "k": 5}, RECORD, keep=1)
    assert other.name == "checkpoint-000000002-1.safetensors"  # another run's state is not replaced
    damaged = tmp_path / "checkpoint-000000003.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    # the temporary file of a dead process goes; that of a living one (our parent) and a stranger's stay
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stale, alive = (f".checkpoint-000000001.{pid}-ab12.tmp" for pid in (dead.pid, os.getppid()))
    for name in (stale, alive, ".other.tmp"):
        (tmp_path / name).write_bytes(b"half")

    save(tmp_path, 5, state(5), SETTINGS, RECORD, keep=3)
    # 3 is damaged and does not count, so 5, 4 and 2 are kept
    kept = [f"checkpoint-00000000{i}.safetensors" for i in ("2-1", "2", "3", "4", "5")]
    assert names(tmp_path) == sorted([alive, ".other.tmp", *kept])
    save(tmp_path, 1, state(1), SETTINGS, RECORD, keep=1)  # newer ones are not "older", whatever keep is
    assert (tmp_path / kept[-1]).exists()


def test_a_crash_before_the_rename_leaves_the_old_one_the_newest(tmp_path, monkeypatch):
    save(tmp_path, 1, state(1.0), SETTINGS, RECORD)

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 2, state(2.0), SETTINGS, RECORD)
    assert names(tmp_path) == ["checkpoint-000000001.safetensors"]
    assert newest(tmp_path)[0].iteration == 1


def test_content_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    """A kill cannot show this, a power cut could: file, then rename, then folder."""
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(checkpoint.os, "fsync", lambda fd: (calls.append(os.fstat(fd).st_ino), fsync(fd)))
    monkeypatch.setattr(checkpoint.os, "replace", lambda *a: (calls.append("replace"), replace(*a)))
    path = save(tmp_path, 1, state(), SETTINGS, RECORD)
    assert calls == [path.stat().st_ino, "replace", tmp_path.stat().st_ino]


def test_a_disk_that_fills_up_while_writing(tmp_path):
    """A real short write: the system's own limit on a file's size, reached halfway."""
    resource = pytest.importorskip("resource")
    old = save(tmp_path, 1, state(1.0), SETTINGS, RECORD)
    before, limits = old.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="checkpoint-000000002") as caught:
            save(tmp_path, 2, {"w": torch.zeros(100_000)}, SETTINGS, RECORD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert [names(tmp_path), old.read_bytes()] == [[old.name], before]


def test_a_full_disk_reported_at_fsync(tmp_path, monkeypatch):
    old = save(tmp_path, 1, state(1.0), SETTINGS, RECORD)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*checkpoint-000000002"):
        save(tmp_path, 2, state(2.0), SETTINGS, RECORD)
    assert names(tmp_path) == [old.name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iteration": -1}, "iteration is -1"),
        ({"iteration": 1.0}, "iteration is 1.0"),
        ({"keep": 0}, "keep is 0"),
        ({"keep": True}, "keep is True"),
        ({"settings": {"d_lr": math.nan}}, r"settings\['d_lr'\] is nan"),
        ({"settings": {"seed": 2**70}}, r"settings\['seed'\] is 11805.*integers of 64 bits"),
        ({"settings": {"d_lr": math.inf}}, r"settings\['d_lr'\] is inf"),
        ({"settings": {"sizes": (1, 2)}}, r"settings\['sizes'\] is \(1, 2\)"),
        ({"settings": [1]}, "settings is a list"),
        ({"record": {"d_loss": [0.1, math.nan]}}, r"record\['d_loss'\] is \[0.1, nan\]"),
        ({"record": {"seeds": {0: 1.0}}}, r"record\['seeds'\] is \{0: 1.0\}"),
        ({"record": {1: 1.0}}, r"record\[1\]"),
        ({"record": {"w": torch.zeros(1)}}, r"record\['w'\]"),
        ({"tensors": {"w": [1.0]}}, "tensor 'w' is a list"),
        ({"tensors": {1: torch.zeros(1)}}, "1 cannot name a tensor"),
        ({"tensors": {"__metadata__": torch.zeros(1)}}, "'__metadata__' cannot name"),
        ({"tensors": {"w": torch.zeros(2).to_sparse()}}, "tensor 'w' is torch.float32, torch.sparse_coo"),
        ({"tensors": {"w": torch.zeros(2, dtype=torch.complex64)}}, "tensor 'w' is torch.complex64"),
        ({"tensors": {"w": torch.zeros(2, device="meta")}}, "tensor 'w' is without memory"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, change, message):
    good = {"iteration": 1, "tensors": state(), "settings": SETTINGS, "record": RECORD}
    with pytest.raises((TypeError, ValueError), match=message):
        save(tmp_path / "run", **{**good, **change})
    assert not (tmp_path / "run").exists()


def test_a_record_longer_than_the_format_allows(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_LONGEST_HEADER", 2000)
    with pytest.raises(ValueError, match="longer than 1,000 bytes"):
        save(tmp_path, 1, state(), SETTINGS, {"long": "x" * 1000})
    assert names(tmp_path) == []


@given(*[st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2) | st.none(), max_size=4)] * 2)
def test_every_differing_setting_is_listed(saved, asked):
    differing = {n for n in "abcd" if (n in saved, saved.get(n)) != (n in asked, asked.get(n))}
    if not differing:
        return check_settings(saved, asked)
    with pytest.raises(CheckpointError) as caught:
        check_settings(saved, asked)
    lines = [line for line in str(caught.value).splitlines() if line.startswith("  ")]
    show = lambda settings, n: repr(settings[n]) if n in settings else "(not set)"  # noqa: E731
    assert lines == [f"  {n}: {show(saved, n)} -> {show(asked, n)}" for n in sorted(differing)]
    return None


# Kills. One process imports torch once and forks a child for each kill; the children are real processes, killed by a
# real SIGKILL, their own at a chosen line of checkpoint.py, files.py or weights.py or the test's at a random moment.
NURSERY = """
import os, shutil, signal, sys
import torch
from ganlib.data import files
from ganlib.lab import checkpoint
from ganlib.nets import weights

ON_DISK = "save", "_free_name", "write", "clear", "_fsync_folder", "_prune"  # the rest computes or reads

def state(i):
    return {"w": torch.full((SIZE,), float(i)), "i": torch.tensor(i)}

def save(folder, i):
    checkpoint.save(folder, i, state(i), {"k": 1}, {"done": list(range(i % 100))})

def at_line(folder, n):
    passed = 0
    def trace(frame, event, arg):
        nonlocal passed
        if frame.f_code.co_filename not in (checkpoint.__file__, files.__file__, weights.__file__):
            return None
        if event == "line" and frame.f_code.co_name in ON_DISK:
            passed += 1
            if passed == n:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    save(folder, 3)

def for_ever(folder, acknowledgements):
    got, refused = checkpoint.newest(folder)
    i = got.iteration if got else 0
    while True:
        i += 1
        save(folder, i)
        os.write(acknowledgements, b"%d\\n" % i)

for line in sys.stdin:
    what, folder, number = line.rstrip("\\n").split("\\t")
    if what == "at_line":
        SIZE = 10
        for i in (1, 2):
            save(folder + "/start", i)
        for n in range(int(number), 10**6):
            shutil.copytree(folder + "/start", f"{folder}/{n}")
            child = os.fork()
            if child == 0:
                at_line(f"{folder}/{n}", n)
                os._exit(0)
            if os.waitpid(child, 0)[1] == 0:
                break
        print(n, flush=True)
    else:
        SIZE = 500_000
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            for_ever(folder, writer)
        os.close(writer)
        with open(reader) as acknowledgements:
            acknowledgements.readline()
            print(child, flush=True)
            last = [int(line) for line in acknowledgements]  # until the pipe closes: the child is dead
        print(last[-1] if last else 0, os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture(scope="module")
def nursery():
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    process = subprocess.Popen(
        [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )

    def ask(*words):
        process.stdin.write("\t".join(map(str, words)) + "\n")
        return answer()

    def answer():
        return [int(word) for word in process.stdout.readline().split()]

    yield ask, answer
    process.stdin.close()
    process.wait(timeout=30)


def consistent(checkpoint):
    i = checkpoint.iteration
    assert torch.equal(checkpoint.tensors["w"], torch.full_like(checkpoint.tensors["w"], float(i)))
    assert (checkpoint.tensors["i"].item(), checkpoint.record) == (i, {"done": list(range(i % 100))})


def test_killed_at_every_line_that_may_change_the_disk(tmp_path, nursery):
    (lines,) = nursery[0]("at_line", tmp_path, 1)
    outcomes = []
    for n in range(1, lines + 1):  # the child of the last one lived to its end
        folder = tmp_path / str(n)
        got, refused = newest(folder)
        consistent(got)
        assert refused == []
        left = names(folder)
        outcome = (got.iteration, any(name.endswith(".tmp") for name in left), len(left))
        if outcome not in outcomes:
            save(folder, 4, state(), {"k": 1}, RECORD)  # whoever comes next cleans up
            assert names(folder) == [f"checkpoint-{i:09d}.safetensors" for i in (got.iteration, 4)]
        outcomes.append(outcome)
    assert [iteration for iteration, _, _ in outcomes] == sorted(iteration for iteration, _, _ in outcomes)
    assert outcomes[0] == (2, False, 2)
    assert (2, True, 3) in outcomes  # killed with the file half written
    assert (3, False, 3) in outcomes  # killed before the oldest was deleted
    assert outcomes[-1] == (3, False, 2)


def test_killed_at_random_moments(tmp_path, nursery):
    ask, answer = nursery
    rng = random.Random()  # other moments in every run of the tests
    for _ in range(25):
        (child,) = ask("for_ever", tmp_path, 0)
        time.sleep(rng.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
        acknowledged, status = answer()
        assert os.WTERMSIG(status) == signal.SIGKILL
        got, refused = newest(tmp_path)
        assert refused == []
        assert got.iteration >= acknowledged  # what save returned from is there
        consistent(got)
    assert len([name for name in names(tmp_path) if name.startswith("checkpoint")]) <= 3
    save(tmp_path, got.iteration + 1, state(), {"k": 1}, RECORD)
    assert len(names(tmp_path)) == 2
