"""Files made by other hands: every mutation of a real result or checkpoint, signed anew, is taken or refused by name.

The mutators go through every branch and leaf of real files: replaced by each of `RAW`, deleted, doubled, renamed,
wrapped. What is asked is that nothing ends in anything but success or the project's own error, that the error names
the file, and that what is done is bounded by the file: no memory for what it merely speaks of.
"""

import functools
import hashlib
import itertools
import json
import os
import random
import re
import struct
from contextlib import suppress

import pytest
import safetensors.torch
import torch

from ganlib import sampling
from ganlib.data import files
from ganlib.errors import CheckpointError, Diverged, ResultsError
from ganlib.lab import results, runs
from ganlib.lab.cli import main
from ganlib.lab.cli.arguments import Stop, parser
from ganlib.lab.cli.commands import COMMANDS
from ganlib.lab.cli.errors import expected_errors
from ganlib.lab.generators import open_trained
from ganlib.lab.runner import Runner
from ganlib.lab.training import Training

DIGITS = {"data": "digits", "width": 4, "units": 3, "m": 5, "every": 2, "iterations": 4}
MANY = int(os.environ.get("GANLIB_FUZZ", "1"))  # times as many cases
# JSON in place of what was there. Some of it is none, some of it is JSON to Python only.
RAW = [
    "null", "true", "0", "-1", "3", "0.5", "1e150", "1e308", "1e999", "NaN", "-Infinity", "1" + "0" * 18, "9" * 11,
    "9" * 30,
    "7" * 5000, '""', '"x"', '"0"', r'"\ud800"', r'"\u0000"', '"../../x"', f'"{"y" * 5000}"', "[]", "[[]]", "[0]",
    "[0, 0]", '["x"]', "{}", '{"0": 1}', '{"0": {}}', "[" * 40 + "]" * 40, "[" * 100_000,
    '{"a":' * 900 + "0" + "}" * 900,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def paths(value, at=()):
    """The way to every branch and leaf, of lists to their first and last element only."""
    yield at
    if isinstance(value, dict):
        for name in value:
            yield from paths(value[name], (*at, name))
    elif isinstance(value, list):
        for i in sorted({0, len(value) - 1} if value else ()):
            yield from paths(value[i], (*at, i))


def mutations(value, at):
    """JSON texts of a value with something else at a path, each made when it is asked for."""
    there = value
    for step in at:
        there = there[step]
    own = json.dumps(there)

    def put(raw):
        return changed(lambda holder, last: holder.__setitem__(last, "@@here@@")).replace('"@@here@@"', raw)

    def changed(change):
        holder = new = json.loads(json.dumps([value]))
        for step in (last := (0, *at))[:-1]:
            holder = holder[step]
        change(holder, last[-1])
        return json.dumps(new[0] if new else None)

    def rename(holder, last):
        holder.append(holder[last]) if isinstance(holder, list) else holder.update(other=holder.pop(last))

    texts = [functools.partial(put, raw) for raw in (*RAW, f"[{own}]", json.dumps(own))]
    texts += [functools.partial(changed, change) for change in (lambda holder, last: holder.pop(last), rename)]
    if at and isinstance(at[-1], str):
        texts.append(functools.partial(put, f"{own}, {json.dumps(at[-1])}: {own}"))  # the name twice
    return texts


def cases(value, most, seed):
    """As many mutations as ``most``, of every path one before any has a second turn."""
    rng, each = random.Random(seed), [mutations(value, at) for at in paths(value)]
    for some in (*each, each):
        rng.shuffle(some)
    turns = (text for turn in itertools.zip_longest(*each) for text in turn if text is not None)
    return [text() for text in itertools.islice(turns, most)]


# Results.


@pytest.fixture(scope="module")
def two_results(tmp_path_factory):
    """Two results of one run: of images, with averages."""
    folder = tmp_path_factory.mktemp("results")
    for name, seed in (("a", "0"), ("b", "1")):
        settings = [f"--set={setting}={value}" for setting, value in DIGITS.items()]
        where = ["--seed", seed, "--out", str(folder / f"run{name}"), "--results", str(folder / f"{name}.json")]
        assert main(["reproduce", "mnist-paper", *settings, "--samples", "20", "--quiet", *where]) == 0
    return folder


def test_no_result_ends_in_anything_but_success_or_a_refusal(two_results):
    (a, b), out = (two_results / "a.json", two_results / "b.json"), two_results / "out.json"
    original, outcomes = b.read_text(), {0: 0, 5: 0}
    args = parser().parse_args(["combine", str(a), str(b), "--results", str(out)])
    texts = cases(json.loads(original), 600 * MANY, 1)
    for text in texts:
        b.write_text(text)
        code, says = 0, ""
        try:
            with expected_errors():
                COMMANDS["combine"](args)
        except Stop as stop:
            code, says = stop.code, str(stop)
        outcomes[code] += 1  # a KeyError is another code than these
        named = any(words in says for words in ("b.json", "they differ in", "seed", "pretrained"))
        assert code == 0 or named, (text, says)
        assert len(says) < 5000
        out.unlink(missing_ok=True)
    assert main(["combine", str(a), str(b), "--results", str(out)]) == code  # the command itself, of the last one
    b.write_text(original)
    print(outcomes)
    assert sum(outcomes.values()) == len(texts) == 600 * MANY
    assert min(outcomes.values()) > 100, outcomes  # what does not matter is taken, what does is refused


def test_no_file_in_the_place_of_a_result_is_more_than_refused(two_results, capsys):
    """As the file that is to be replaced."""
    a, b, out = (str(two_results / f"{name}.json") for name in ("a", "b", "there"))
    assert main(["combine", a, b, "--results", out]) == 0
    whole = json.loads((two_results / "there.json").read_text())
    same = {name: whole[name] for name in ("run", "settings", "seeds", "precision", "samples")}
    for i, text in enumerate(cases(same, 200 * MANY, 2)):
        (two_results / "there.json").write_text(text)
        with suppress(ResultsError):
            results.check_results(out, same)
        if i % 10 == 0:
            assert main(["combine", a, b, "--results", out]) in (0, 5)
            capsys.readouterr()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: os.mkfifo(path), "it is no file"),  # reading it would wait for ever
        (lambda path: path.mkdir(), "it is no file"),
        (lambda path: path.symlink_to(path), "it is no file|cannot be read"),
        (lambda path: path.write_bytes(b"\xff\xfe{}"), "utf-8"),
        (lambda path: path.write_bytes(b""), "Expecting value"),
        (lambda path: path.write_text("[" * 10**6), "too deep|deep in each other"),
        (lambda path: path.write_text("[1]"), "it holds no object"),
    ],
)
def test_what_is_no_result_is_named(tmp_path, make, says):
    path = tmp_path / "x.json"
    make(path)
    with pytest.raises(ResultsError, match=rf"x\.json is no results file \(.*({says})"):
        results.read_results(path)


def test_no_more_than_the_largest_result_is_read(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    with open(path, "wb") as file:
        file.truncate(10**12)  # sparse: it takes no disk
    monkeypatch.setattr(files, "parsed", None)
    with pytest.raises(ResultsError, match="it has more than 32,000,000 bytes"):
        results.read_results(path)


@pytest.mark.parametrize("name", ["../a.json", "/etc/passwd", "..", ".", "", "x/y", "x\\y", "x\0y", "y" * 300])
def test_weights_are_looked_for_beside_their_result_only(two_results, tmp_path, capsys, name):
    b = json.loads((two_results / "b.json").read_text())
    for holder in (b["weights"]["1"], b["averaged"]["by_seed"]["1"]["weights"]):
        kept, holder["file"] = holder["file"], name
        (tmp_path / "b.json").write_text(json.dumps(b))
        assert main(["combine", str(two_results / "a.json"), str(tmp_path / "b.json"), "--results", "c.json"]) == 5
        assert "b.json is no result of reproduce: it.weights.1.file" in capsys.readouterr().err.replace(
            "it.averaged.by_seed.1.weights.file", "it.weights.1.file"
        )
        holder["file"] = kept


def test_weights_that_are_a_pipe_are_not_waited_for(two_results, tmp_path, capsys):
    (tmp_path / "b.json").write_text((two_results / "b.json").read_text())
    os.mkfifo(tmp_path / "b-seed1.safetensors")
    assert main(["combine", str(two_results / "a.json"), str(tmp_path / "b.json"), "--results", "c.json"]) == 5
    assert "b-seed1.safetensors is not the file that" in capsys.readouterr().err


# Checkpoints.


def signed(header, data):
    """A file of this header, as JSON text, and these bytes, with the right digest: as its own author would make it."""
    content = header.encode(errors="surrogatepass")
    content += b" " * (-len(content) % 8)
    found = re.search(rb'\\"sha256\\": \\"([0-9a-f]{64})\\"', content)
    if found is None:  # nothing to sign
        return struct.pack("<Q", len(content)) + content + data
    before, after = content[: found.start(1)], content[found.end(1) :]
    size = struct.pack("<Q", len(content))
    digest = hashlib.sha256(size + before + after + data).hexdigest().encode()
    return size + before + digest + after + data


def taken_apart(content):
    """A file's header as JSON, ganlib's own part of it, and the bytes of its tensors."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    return header, json.loads(header["__metadata__"]["ganlib"]), content[8 + size :]


CHECKPOINTS = {
    "sgd": ("mnist-paper", DIGITS, [0]),
    "adam": ("ring8", {"width": 4, "m": 4, "every": 2, "iterations": 4}, [3]),
    "seeds": ("ring8", {"width": 4, "m": 4, "every": 2, "iterations": 4}, [3, 1]),
    "batch norm": ("small-mlp", {"data": "digits", "width": 2, "m": 4, "every": 2, "iterations": 4}, [0]),
}


def runner(kind, folder=None, **more):
    name, settings, seeds = CHECKPOINTS[kind]
    training = Training(runs.get(name, {**settings, **more}), seeds=seeds, device="cpu")
    return Runner(training, folder, resume=True)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A checkpoint of each kind, after two iterations of four."""
    found = {}
    for kind in CHECKPOINTS:
        folder = tmp_path_factory.mktemp("run")
        list(runner(kind, folder, iterations=2).reports())
        (path,) = folder.glob("*.safetensors")
        found[kind] = path.read_bytes()
    return found


def outcome(kind, content, folder):
    """What becomes of a file in each reader; anything but success and the project's errors is raised."""
    path = folder / "checkpoint-000000002.safetensors"
    path.write_bytes(content)
    said = []
    for use in (_drawn_from, _resumed):
        try:
            use(kind, path)
        except CheckpointError as error:
            named = path.name in str(error) or str(error).startswith("the checkpoint was made with other")
            said.append("refused" if named and len(str(error)) < 20_000 else str(error))
        except Diverged:
            said.append("diverged")
        else:
            said.append("taken")
        for other in folder.iterdir():
            if other != path:
                other.unlink()
    return said


def _drawn_from(kind, path):
    trained, _ = open_trained(path)
    generator = trained.generator()
    samples = sampling.sample(generator, runs.latent(trained.run), 2)
    assert samples.shape[0] == 2


def _resumed(kind, path):
    run = runner(kind, path.parent)
    list(run.reports())


def metadata(kind, originals, most, seed):
    """Signed files whose settings, record, iteration and format were mutated."""
    header, info, data = taken_apart(originals[kind])
    for text in cases(info, most, seed):
        yield signed(json.dumps(header | {"__metadata__": {"ganlib": text}}), data)


def headers(kind, originals, most, seed):
    """Signed files whose table of tensors was mutated: names, types, shapes and places."""
    header, _, data = taken_apart(originals[kind])
    for text in cases(header, most, seed):
        yield signed(text, data)


def tensors(kind, originals, most, seed):
    """Signed files with one tensor left out, of another type or shape, or with other numbers in it; or one too many."""
    header, _, _ = taken_apart(originals[kind])
    whole = safetensors.torch.load(originals[kind])
    changes = [whole | {name: torch.zeros(2)} for name in ("foreign", "generator.foreign", "d_optimiser.0.foreign")]
    changes.append({})
    for name, tensor in whole.items():
        values = (-1, 0, 127, torch.nan, torch.inf, 1e30, 2.5, 2**62, -(2**62))
        if not tensor.is_floating_point():
            values = [
                value for value in values if value == 0 or (isinstance(value, int) and tensor.dtype == torch.int64)
            ]
        others = [
            *(torch.full_like(tensor, value) for value in values), tensor.flatten()[:0], tensor.flatten()[:-1],
            tensor[None], tensor.double(), tensor.half(), tensor.int(), tensor.bool(), tensor.to(torch.complex64),
            tensor.to(torch.float8_e5m2), tensor.to(torch.uint8), torch.zeros(()), torch.zeros(0, 10**12),
            torch.zeros(10**12, 0),
        ]  # fmt: skip
        changes += [{**whole, name: other} for other in others]
        changes.append({other: each for other, each in whole.items() if other != name})
    known = []
    for changed in random.Random(seed).sample(changes, len(changes)):
        text = header["__metadata__"]["ganlib"]
        with suppress(KeyError):  # an older safetensors knows fewer types
            packed = {name: each.contiguous() for name, each in changed.items()}
            known.append(safetensors.torch.save(packed, {"ganlib": text}))
        if len(known) == most:
            break
    for content in known:
        size = int.from_bytes(content[:8], "little")
        yield signed(content[8 : 8 + size].decode(), content[8 + size :])


@pytest.mark.parametrize("kind", CHECKPOINTS)
@pytest.mark.parametrize("what", ["metadata", "headers", "tensors"])
def test_no_signed_checkpoint_ends_in_anything_but_success_or_a_refusal(tmp_path, originals, capsys, kind, what):
    contents = {"metadata": metadata, "headers": headers, "tensors": tensors}[what](kind, originals, 50 * MANY, 4)
    assert outcome(kind, originals[kind], tmp_path) == ["taken", "taken"]
    found = [tuple(outcome(kind, content, tmp_path)) for content in contents]
    capsys.readouterr()
    print({each: found.count(each) for each in sorted(set(found))})
    assert {word for each in found for word in each} <= {"taken", "refused", "diverged"}
    assert len(found) >= 50
    assert sum("refused" in each for each in found) > 20
    assert what == "headers" or ("taken", "taken") in found  # what does not matter is taken: the signature is right
