"""Committed results are what they say, or the build stops; the roles that quote them, and what others published."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bs4 import BeautifulSoup
from sphinx.errors import ExtensionError
from sphinx.testing.util import SphinxTestApp

from ganlib import runs, studies
from ganlib.trained import save_generator

ROOT = Path(__file__).resolve().parents[1]
EXTENSIONS = ROOT / "book" / "_ext"


def extension(name: str) -> ModuleType:
    """A module of the book's extensions, as Sphinx imports it."""
    sys.path.insert(0, str(EXTENSIONS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXTENSIONS))


committed = extension("committed_results")
checks = extension("result_checks")
results = extension("results")

WHOLE = ROOT / "ganlib" / "widgets" / "assets" / "latent-explorer.json"  # of `reproduce`, with weights beside it
WEIGHTS = "latent-explorer-seed0.safetensors"
PAPER = ROOT / "book" / "results" / "mnist-paper.json"  # of `combine`, with snapshots and averages
SWEEP = ROOT / "ganlib" / "widgets" / "assets" / "parzen-sweep.json"  # of one of its generators
Mutation = Callable[[dict[str, Any]], object]


def test_every_committed_result_is_what_it_says() -> None:
    assert {path.parent.name for path in committed.files(ROOT)} >= {"results", "assets"}
    assert checks.problems(ROOT) == []


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A tree with one committed result of a named run and its weights, copied from this one."""
    folder = tmp_path / "book" / "results"
    folder.mkdir(parents=True)
    shutil.copy(WHOLE, folder)
    shutil.copy(WHOLE.with_name(WEIGHTS), folder)
    assert checks.problems(tmp_path) == []
    return tmp_path


def change(book: Path, mutate: Mutation, name: str = WHOLE.name) -> None:
    path = book / "book" / "results" / name
    content = json.loads(path.read_text())
    mutate(content)
    path.write_text(json.dumps(content, indent=1))


def set_to(value: Any, *where: str) -> Callable[[dict[str, Any]], None]:
    def mutate(content: dict[str, Any]) -> None:
        for name in where[:-1]:
            content = content[name]
        if value is ...:
            del content[where[-1]]
        else:
            content[where[-1]] = value

    return mutate


def span(start: int, end: int, *, commit: str | None = "a" * 40, dirty: bool = False) -> dict[str, Any]:
    return {"from": start, "to": end, "commit": commit, "dirty": dirty, "threads": 1, "torch": "2"}


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (set_to(0.0003, "settings", "d_lr"), "its setting d_lr is 0.0003, and the run dcgan-digits has 0.0002; run"),
        (set_to(1.0, "settings", "k"), "its setting k is 1.0, and the run dcgan-digits has 1"),
        (set_to(..., "settings", "m"), "its setting m is 'nothing', and the run dcgan-digits has 64"),
        (set_to(3, "settings", "layers"), "its setting layers is 3, and the run dcgan-digits has 'nothing'"),
        (set_to({"named": 1, "this": 2}, "changed", "k"), "changed names the setting k: it is not the run"),
        (set_to("dcgan-digit", "run"), "no run is called 'dcgan-digit'; the nearest are dcgan-digits"),
        (set_to(True, "environment", "dirty"), "dirty is True: the code was not as committed; commit it, and run"),
        (set_to(None, "environment", "dirty"), "its provenance lacks dirty"),
        (set_to(..., "environment", "processor"), "its provenance lacks processor"),
        (set_to("main", "environment", "commit"), "its commit is 'main'"),
        (set_to("0" * 40, "environment", "commit"), f"its commit is '{'0' * 40}', which is no commit"),
        (set_to("clean", "environment"), "its provenance is 'clean', which names no software"),
        (set_to("bf16", "precision"), "its precision is 'bf16', and a named run's is fp32; run"),
        (set_to(..., "precision"), "it lacks precision"),
        (set_to(100, "samples"), "it has samples 100, and every result has 10000"),
        (set_to(100, "figures_by_seed", "0", "samples"), "seed 0 has samples 100, and every result has 10000"),
        (set_to(7, "figures_by_seed", "0", "sampling_seed"), "seed 0 has sampling_seed 7, and every result has 0"),
        (set_to(..., "figures_by_seed", "0", "sampling_seed"), "seed 0 has sampling_seed None"),
        (set_to(..., "figures_by_seed"), "it has across_seeds, and no figures_by_seed of a run to compute it from"),
        (set_to(..., "across_seeds"), "it lacks across_seeds"),
        (set_to(..., "weights"), "it lacks weights"),
        (set_to({}, "weights"), "its seeds are [0], and it has weights of none"),
        (set_to(..., "weights", "0", "sha256"), "weights of seed 0: it lacks sha256"),
        (set_to(..., "weights", "0", "file"), "weights of seed 0: it lacks file"),
        (set_to([1], "settings"), "it is not as python -m ganlib writes it (TypeError: "),
        (set_to([1], "weights"), "it is not as python -m ganlib writes it (AttributeError: "),
        (set_to("../x.npz", "weights", "0", "file"), "it is not as python -m ganlib writes it (ValueError: "),
        (set_to({"images": 5}, "data"), "it is not as python -m ganlib writes it (TypeError: "),
        (lambda content: content["data"].pop(), "its data are the splits ['train', 'valid'], not ['test', "),
        (set_to("vae", "study"), "it says that it is a run and a study"),
        (set_to(..., "environment"), "it lacks environment; run python -m ganlib reproduce dcgan-digits"),
        (set_to(..., "data"), "it lacks data"),
        (set_to([], "seeds"), "it lacks seeds"),
        (set_to([0, 1], "seeds"), "its seeds are [0, 1], and it has figures of 0"),
        (set_to([span(0, 6199)], "trained_by"), "which does not account for every iteration; run"),
        (set_to([span(0, 100), span(200, 6200)], "trained_by"), "which does not account for every iteration"),
        (set_to("code", "trained_by"), "trained_by is 'code', which does not account"),
        (set_to([span(0, 6200, dirty=True)], "trained_by"), "iterations 0 to 6200 were trained by commit 'aaaa"),
        (set_to([span(0, 6200, commit=None)], "trained_by"), "were trained by commit None, dirty False"),
        (set_to("0" * 64, "weights", "0", "sha256"), f"{WEIGHTS} is another file than the one it names"),
        (set_to(17, "weights", "0", "bytes"), "bytes, not 17 as it says"),
        (set_to("gone.safetensors", "weights", "0", "file"), "it names gone.safetensors, which is not beside it"),
        (set_to(99.0, "across_seeds", "log_likelihood", "mean"), "across_seeds has log_likelihood.mean 99.0, its"),
        (set_to("python train.py --out /home/me/x", "command"), "names a folder of one machine"),
        (set_to("read from C:\\data", "data", ), "names a folder of one machine"),
        (set_to(float("nan"), "wall_seconds"), "it holds NaN, which is no finite number"),
        (set_to(float("inf"), "wall_seconds"), "it holds Infinity"),
        (set_to([99.0], "across_seeds", "log_likelihood", "values"), "log_likelihood.values [99.0], its seeds give"),
        (set_to("bits", "across_seeds", "log_likelihood", "unit"), "log_likelihood.unit 'bits', its seeds give"),
        (set_to(2.0, "across_seeds", "log_likelihood", "standard_error"), "log_likelihood.standard_error 2.0, its"),
        (set_to(None, "across_seeds", "log_likelihood", "of"), "log_likelihood.of None, its seeds give None"),
        (set_to({"mean": 9.0}, "across_seeds", "fid"), "across_seeds has fid, of which its seeds have no figures"),
        (set_to(..., "across_seeds", "sigma"), "across_seeds has sigma.mean None, its seeds give 0.2"),
        (
            set_to({"by_seed": {}, "across_seeds": {"sigma": {"mean": 9.0}}}, "averaged"),
            "its seeds are [0], and it has averaged figures of none",
        ),
        (
            set_to({"by_seed": {"0": {"iteration": 62}}}, "snapshots"),
            f"{WEIGHTS} is of iteration 6200, not 62 as it says",
        ),
        (lambda content: [content.pop(name) for name in ("run",)], "it names no run, no study and no benchmark"),
    ],
)  # fmt: skip
def test_a_changed_result_is_found(book: Path, mutate: Mutation, says: str) -> None:
    change(book, mutate)
    found = checks.problems(book)
    assert any(says in problem for problem in found), found
    assert all(problem.startswith("book/results/") for problem in found)


def test_a_training_in_two_parts_by_committed_code_is_allowed(book: Path) -> None:
    change(book, set_to([span(0, 100), span(100, 6200, commit="b" * 40)], "trained_by"))
    assert checks.problems(book) == []


def test_one_changed_byte_of_the_weights_is_found(book: Path) -> None:
    path = book / "book" / "results" / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert any(f"{WEIGHTS} is another file than the one it names" in problem for problem in checks.problems(book))


def test_weights_of_another_run_are_found_though_their_hash_is_named(book: Path) -> None:
    """The result's settings are the named run's; the file beside it was trained otherwise, and says so."""
    path = book / "book" / "results" / WEIGHTS
    run = runs.get("dcgan-digits", {"d_lr": 0.01})
    generator = runs.networks(run, 0, None)[0]
    save_generator(path, run, 0, generator, 6200)
    change(book, set_to(hashlib.sha256(path.read_bytes()).hexdigest(), "weights", "0", "sha256"))
    (found,) = checks.problems(book)
    assert "its setting d_lr is 0.01, and latent-explorer.json" in found


def test_files_too_large_or_named_by_no_result_are_found(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (checks.LARGEST, checks.TOGETHER) == (8_000_000, 40_000_000)
    folder = book / "book" / "results"
    (folder / "left-over.npz").write_bytes(b"x" * 100)
    assert [p for p in checks.problems(book) if "left-over.npz: no result beside it names it" in p]
    (folder / "sub").mkdir()
    shutil.copy(WHOLE.with_name(WEIGHTS), folder / "sub")
    assert [p for p in checks.problems(book) if f"sub/{WEIGHTS}: no result beside it names it" in p]
    shutil.rmtree(folder / "sub")
    monkeypatch.setattr(checks, "LARGEST", 50)
    assert [p for p in checks.problems(book) if "left-over.npz: 100 bytes, and no file may have more than 50" in p]
    monkeypatch.setattr(checks, "TOGETHER", 1000)
    assert [p for p in checks.problems(book) if p.startswith("book/results: ") and "more than 1,000" in p]


@pytest.fixture
def study(book: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with settings, and a committed result of it that read the run's weights and a network of ganlib's."""

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        images: int = 50
        widths: tuple[float, ...] = (0.1, 0.2)
        weights: str = WEIGHTS.removesuffix(".safetensors") + ",another"

    module = ModuleType("ganlib.studies.trial")
    module.Settings = Settings
    monkeypatch.setitem(sys.modules, "ganlib.studies.trial", module)
    monkeypatch.setitem(studies.STUDIES, "trial", "a trial")
    run = json.loads(WHOLE.read_text())
    content = {name: run[name] for name in ("data", "environment", "started", "wall_seconds", "command")}
    settings = {"images": 50, "widths": [0.1, 0.2], "weights": "latent-explorer-seed0,another"}
    content |= {"study": "trial", "settings": settings, "changed": {}, "figures": {"share": {"value": 0.5}}}
    network = book / "ganlib" / "assets" / "network.safetensors"
    network.parent.mkdir(parents=True)
    network.write_bytes(b"a network")
    content["inputs"] = {
        WEIGHTS: run["weights"]["0"]["sha256"],
        network.name: hashlib.sha256(b"a network").hexdigest(),
    }
    (book / "book" / "results" / "trial.json").write_text(json.dumps(content))
    assert checks.problems(book) == []
    return book


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (
            set_to(500, "settings", "images"),
            "its setting images is 500, and the study trial has 50; run python -m ganlib",
        ),
        (set_to(True, "environment", "dirty"), "dirty is True"),
        (set_to("trail", "study"), "no study is called 'trail'; the nearest are trial"),
        (set_to("1" * 64, "inputs", WEIGHTS), f"{WEIGHTS} is another file than the one it names"),
        (
            set_to("1" * 64, "inputs", "network.safetensors"),
            "network.safetensors is another file than the one it names",
        ),
        (set_to("1" * 64, "inputs", "elsewhere.npz"), "it read elsewhere.npz, which is in none of book/results, "),
        (set_to(..., "inputs", WEIGHTS), f"its settings name {WEIGHTS}, which is not among its inputs"),
        (set_to(..., "inputs"), "it lacks inputs; run python -m ganlib"),
        (set_to(..., "changed"), "it lacks changed"),
        (set_to(..., "figures"), "it lacks figures"),
        (set_to({}, "figures"), "it lacks figures"),
        (set_to({"sigma": {"mean": 9.0}}, "across_seeds"), "it has across_seeds, and no figures_by_seed of a run"),
        (set_to({"trial.npz": "1" * 64}, "files"), "it names trial.npz, which is not beside it"),
        (set_to([WEIGHTS], "inputs"), "it is not as python -m ganlib writes it (AttributeError: "),
    ],
)
def test_a_changed_result_of_a_study_is_found(study: Path, mutate: Mutation, says: str) -> None:
    change(study, mutate, "trial.json")
    assert any(
        problem.startswith("book/results/trial.json: ") and says in problem for problem in checks.problems(study)
    )


def test_a_benchmark_has_named_settings_and_committed_code(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    content = json.loads((ROOT / "benchmarks" / "results" / "floor.json").read_text())
    (folder / "floor.json").write_text(json.dumps(content))
    assert checks.problems(tmp_path) == []
    content["run"]["width"], content["provenance"]["dirty"] = 7, True
    (folder / "floor.json").write_text(json.dumps(content))
    dirty, width = checks.problems(tmp_path)
    assert "dirty is True" in dirty
    assert "its setting width is 7, and the run mnist-paper has 1200; run python -m benchmarks.floor" in width
    content["run"]["name"], content["provenance"]["dirty"] = "mine", False
    (folder / "floor.json").write_text(json.dumps(content))
    (unnamed,) = checks.problems(tmp_path)
    assert "no run is called 'mine'; the nearest are" in unnamed


# The roles


COLOUR = re.compile(r"\x1b\[[0-9;]*m")
BIBLIOGRAPHY = "@inproceedings{goodfellow2014, author={Goodfellow, Ian and A, B and C, D}, title={T}, year={2014}}\n"


@pytest.fixture
def pages(book: Path) -> Path:
    """The tree above as a book of one page, to be written."""
    (book / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\n"
        "source_suffix = {'.md': 'markdown'}\n"  # Sphinx keeps what another test's parser put into its default
        "extensions = ['myst_parser', 'sphinxcontrib.bibtex', 'results', 'typed_numbers']\n"
        "bibtex_bibfiles = ['references.bib']\nexclude_patterns = ['_build']\nmyst_enable_extensions = ['dollarmath']\n"
    )
    (book / "references.bib").write_text(BIBLIOGRAPHY)
    return book


def built(folder: Path, text: str) -> tuple[BeautifulSoup, list[str]]:
    page = folder / "index.md"
    if not page.exists() or page.read_text() != f"# Page\n\n{text}\n":  # else it is not read again
        page.write_text(f"# Page\n\n{text}\n")
    app = SphinxTestApp("html", srcdir=folder)
    try:
        app.build()
        html = (Path(app.outdir) / "index.html").read_text()
        return BeautifulSoup(html, "html.parser"), COLOUR.sub("", app.warning.getvalue()).splitlines()
    finally:
        app.cleanup()


def test_result_shows_the_number_and_says_where_it_comes_from(pages: Path) -> None:
    name = "latent-explorer"
    page, complaints = built(
        pages,
        f"One {{result}}`{name}.json across_seeds.log_likelihood.mean .1f` nats, a figure "
        f"{{result}}`{name} figures_by_seed.0.figures.log_likelihood ±.2f`, {{result}}`{name} settings.iterations ,d` "
        f"and {{result}}`{name} curves.by_seed.0.0.1 .3e`.\n\n| a |\n|---|\n"
        f"| {{result}}`book/results/{name} settings.m d` |\n",
    )
    assert complaints == []
    content = json.loads(WHOLE.read_text())
    figure = content["figures_by_seed"]["0"]["figures"]["log_likelihood"]
    shown = page.select("span.result")
    assert [each.text for each in shown] == [
        f"{content['across_seeds']['log_likelihood']['mean']:.1f}",
        f"{figure['value']:.2f} ± {figure['plus_minus']:.2f}",
        f"{content['settings']['iterations']:,}",
        f"{content['curves']['by_seed']['0'][0][1]:.3e}",
        str(content["settings"]["m"]),
    ]
    assert shown[4].find_parent("td") is not None
    title = shown[1]["title"]
    assert title.startswith("nats; 500 test images; ± is the standard error over test images; book/results/latent")
    assert "figures_by_seed.0.figures.log_likelihood; run dcgan-digits; commit " in title
    assert content["environment"]["commit"][:10] in title


@pytest.mark.parametrize(
    ("role", "says"),
    [
        ("{result}`latent-explorer across_seeds.sigma mean`", "'mean' is no format; end with one such as"),
        ("{result}`latent-explorer.json`", "is not a file, a path and a format"),
        (
            "{result}`latent-explore across_seeds .1f`",
            "no committed result 'latent-explore'; the nearest are latent-expl",
        ),
        (
            "{result}`latent-explorer across_seed.sigma.mean .1f`",
            "no entry 'across_seed'; the nearest are across_seeds",
        ),
        (
            "{result}`latent-explorer across_seeds.sigma.median .1f`",
            "across_seeds.sigma has no entry 'median'; the near",
        ),
        ("{result}`latent-explorer seeds.3 d`", "seeds is a list of 1, and '3' no place in it"),
        ("{result}`latent-explorer seeds d`", "seeds is list [0], no number"),
        ("{result}`latent-explorer environment .1f`", "environment is no number; it has python, torch"),
        ("{result}`latent-explorer environment.dirty d`", "environment.dirty is bool False, no number"),
        ("{result}`latent-explorer command .1f`", "cannot show"),
        ("{result}`latent-explorer across_seeds.sigma ±.1f`", "has no spread to show after ±"),
        ("{published}`225 ± 2 <goodfelow2014>`", "no source 'goodfelow2014'; the nearest are goodfellow2014"),
    ],
)
def test_what_cannot_be_shown_is_complained_of_in_every_build(pages: Path, role: str, says: str) -> None:
    for _ in range(2):  # the page is read in the first only
        _, (complaint,) = built(pages, f"See {role}.")
        assert complaint.endswith("[ganlib.results]")
        assert "index.md:3: WARNING" in complaint
        assert says in complaint
    _, complaints = built(pages, "See nothing.")
    assert complaints == []


def test_published_names_its_source_to_the_reader(pages: Path) -> None:
    page, complaints = built(pages, "They have {published}`225 ± 2 <goodfellow2014>` nats.")
    assert complaints == []
    (number,) = page.select("span.published")
    assert number.text == "225 ± 2"
    assert number["title"] == "published by Goodfellow et al. (2014), not measured here"


def test_a_result_that_is_not_what_it_says_stops_the_build_before_a_page_is_read(pages: Path) -> None:
    change(pages, set_to(0.0003, "settings", "d_lr"))
    (pages / "index.md").write_text("# Page\n")
    app = None
    with pytest.raises(ExtensionError, match="not what they say"):
        app = SphinxTestApp("html", srcdir=pages)
    assert app is None
    assert not (pages / "_build" / "html" / "index.html").exists()


def test_keys_with_dots_and_spaces_are_found() -> None:
    content = {"ratios": {"fp32 / bf16": {"median": 1}, "0.5": {"a.b": [2]}, "0": {"5": {"c": 3}}}}
    assert committed.at(content, "ratios.fp32 / bf16.median") == 1
    assert committed.at(content, "ratios.0.5.a.b.0") == 2
    assert committed.at(content, "ratios.0.5.c") == 3
    with pytest.raises(ValueError, match=r"ratios\.0\.5 has no entry 'd'"):
        committed.at(content, "ratios.0.5.d")


def test_a_name_in_two_folders_needs_its_folder(tmp_path: Path) -> None:
    for folder in ("book/results", "benchmarks/results"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "parzen.json").write_text("{}")
    with pytest.raises(ValueError, match="put the folder in front of it"):
        committed.find(tmp_path, "parzen")
    assert committed.find(tmp_path, "benchmarks/results/parzen") == tmp_path / "benchmarks" / "results" / "parzen.json"


def put_together(content: dict[str, Any]) -> None:
    """As `combine` writes it."""
    making = ("environment", "started", "wall_seconds", "command")
    content["parts"] = [{"seeds": [0], **{name: content.pop(name) for name in making}}]


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """A tree with the paper's run, two seeds put together, and what was computed from one of its generators."""
    folder, assets = tmp_path / "book" / "results", tmp_path / SWEEP.relative_to(ROOT).parent
    for each in (folder, assets):
        each.mkdir(parents=True)
    for path in PAPER.parent.glob("mnist-paper*"):
        (folder / path.name).symlink_to(path)
    shutil.copy(PAPER, folder / "copy")
    (folder / "copy").replace(folder / PAPER.name)  # to be changed: no link
    shutil.copy(SWEEP, assets)
    assert checks.problems(tmp_path) == []
    return tmp_path


def of_choice(mutate: Mutation, *where: str) -> Mutation:
    """A change of the first seed's choice among its snapshots, or their averages."""

    def change_it(content: dict[str, Any]) -> None:
        for name in (*where, "by_seed", "0"):
            content = content[name]
        mutate(content)

    return change_it


def best_at(place: int) -> Mutation:
    return lambda choice: choice["curve"][place].__setitem__(2, 9999.0)


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (lambda content: content["parts"][0]["environment"].update(dirty=True), "dirty is True"),
        (lambda content: content["parts"][1]["environment"].update(commit="0" * 40), "which is no commit"),
        (lambda content: content["parts"][0].pop("command"), "it lacks command"),
        (lambda content: content["parts"][0].update(seeds=[2]), "its parts are of seeds [1, 2], and it says [0, 1]"),
        (set_to(93, "settings", "iterations"), "its setting iterations is 93"),
        # weights
        (set_to(..., "weights", "1"), "its seeds are [0, 1], and it has weights of 0;"),
        (set_to({"file": "x"}, "weights", "2"), "its seeds are [0, 1], and it has weights of 0, 1, 2"),
        (lambda content: content["weights"].update({"0": content["weights"]["1"]}), "is of seed (1,), not 0"),
        # the choice among snapshots
        (of_choice(set_to([], "curve"), "snapshots"), "seed 0's validation curve is of 0 snapshots, and mnist"),
        (of_choice(lambda choice: choice["curve"].pop(0), "snapshots"), "validation curve is of 49 snapshots"),
        (of_choice(lambda choice: choice["curve"].pop(), "snapshots"), "mnist-paper's of its 50 snapshots, every 2500"),
        (of_choice(lambda choice: choice["curve"][3].__setitem__(0, 9999), "snapshots"), "validation curve is of 50"),
        (of_choice(best_at(0), "snapshots"), "seed 0's generator is of iteration 120000, and the best is 2500"),
        (of_choice(set_to(2500, "iteration"), "snapshots"), "is of iteration 2500, and the best is 120000"),
        (of_choice(best_at(47), "snapshots"), "seed 0 was chosen for sigma and score [0.2154"),
        (set_to(5000, "snapshots", "every"), "its snapshots are every 5000 iterations, not 2500"),
        (set_to(..., "snapshots", "by_seed", "1"), "its seeds are [0, 1], and it has snapshots of 0"),
        (set_to(..., "snapshots"), "mnist-paper-seed0.safetensors is of iteration 120000, not 125000 as it says"),
        # averages
        (
            set_to(99.0, "averaged", "across_seeds", "log_likelihood", "mean"),
            "across_seeds has log_likelihood.mean 99.0",
        ),
        (set_to("0" * 64, "averaged", "by_seed", "0", "weights", "sha256"), "is another file than the one it names"),
        (set_to(..., "averaged", "by_seed", "0", "weights"), "averaged weights of seed 0: it lacks file"),
        (set_to(100, "averaged", "by_seed", "0", "samples"), "averaged seed 0 has samples 100"),
        (of_choice(lambda choice: choice["curve"].pop(), "averaged"), "seed 0 has a curve that is not of [1, 2, "),
        (of_choice(best_at(0), "averaged"), "is an average of 50 snapshots, not 1 as it says"),
        (of_choice(best_at(0), "averaged"), "averaged seed 0 was chosen for sigma and score [0.2154"),
    ],
)  # fmt: skip
def test_seeds_put_together_their_choices_and_averages_are_checked(paper: Path, mutate: Mutation, says: str) -> None:
    change(paper, mutate, PAPER.name)
    found = checks.problems(paper)
    assert any(says in problem for problem in found), found


def test_toy_data_have_no_choice(tmp_path: Path) -> None:
    folder = tmp_path / "book" / "results"
    folder.mkdir(parents=True)
    for path in PAPER.parent.glob("ring8*"):
        shutil.copy(path, folder)
    assert checks.problems(tmp_path) == []
    change(tmp_path, of_choice(set_to([[8000, 0.1, 1.0]], "curve"), "snapshots"), "ring8.json")
    (found,) = checks.problems(tmp_path)
    assert "seed 0's validation curve is of 1 snapshots, and ring8's of none" in found


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (set_to(5, "samples"), "it has samples 5, and every result has 10000; run python -m ganlib sweep"),
        (set_to(..., "samples"), "it lacks samples"),
        (set_to(..., "checkpoint_sha256"), "it lacks checkpoint_sha256"),
        (set_to(..., "iteration"), "it lacks iteration"),
        (set_to(125_000, "iteration"), "mnist-paper-seed0.safetensors is of iteration 120000, not 125000"),
        (set_to([1], "seeds"), "mnist-paper-seed0.safetensors is of seed (0,), not 1"),
        (lambda content: content["sets"][0].update(kernels=5), "its first set has 5 kernels, not its samples"),
        (lambda content: content["data"][0].update(sha256="0" * 64), "sha256 of MNIST, train, 50000 examples is '0"),
        (lambda content: content["data"][0].update(sha256=None), "the sha256 of MNIST, train, 50000 examples is None"),
        (lambda content: content["data"][0].update(name="CIFAR-10"), "the name of the data mnist is 'CIFAR-10'"),
    ],
)  # fmt: skip
def test_a_changed_sweep_is_found(paper: Path, mutate: Mutation, says: str) -> None:
    path = paper / SWEEP.relative_to(ROOT)
    content = json.loads(path.read_text())
    mutate(content)
    path.write_text(json.dumps(content))
    found = checks.problems(paper)
    assert any(problem.startswith(f"{SWEEP.relative_to(ROOT)}: ") and says in problem for problem in found), found


@pytest.mark.parametrize("folder", ["ganlib/assets", "ganlib/widgets/assets"])
def test_a_file_of_no_known_kind_is_found(book: Path, folder: str) -> None:
    (book / folder).mkdir(parents=True)
    (book / folder / "mine.json").write_text('{"score": 225.3}')
    (found,) = checks.problems(book)
    assert found.startswith(f"{folder}/mine.json: it names no run, no study and no benchmark")


def test_what_was_computed_from_a_generator_names_a_committed_one(tmp_path: Path) -> None:
    asset = ROOT / "ganlib" / "widgets" / "assets" / "parzen-sweep.json"
    there, weights = tmp_path / asset.relative_to(ROOT), tmp_path / "book" / "results" / "mnist.safetensors"
    for path in (there, weights):
        path.parent.mkdir(parents=True, exist_ok=True)
    content = json.loads(asset.read_text())
    weights.write_bytes(b"a generator")
    content["checkpoint_sha256"] = hashlib.sha256(b"a generator").hexdigest()
    there.write_text(json.dumps(content))
    assert not [problem for problem in checks.problems(tmp_path) if "made from a checkpoint" in problem]
    weights.write_bytes(b"another")
    assert [problem for problem in checks.problems(tmp_path) if "made from a checkpoint that is none of" in problem]


def test_what_others_published_is_no_result(paper: Path) -> None:
    with pytest.raises(ValueError, match=r"published.mean was not measured here; write \{published\} with the number"):
        results.quoted(paper, "parzen-sweep published.mean d")


def test_only_a_mean_over_seeds_is_called_one() -> None:
    names = ("mean", "standard_deviation")
    whole = {"mean": 1.0, "standard_deviation": None, "n": 2, "unit": "nats"}
    assert results.described(whole, names) == "nats; mean over 2 seeds; ± is the standard deviation over seeds"
    for name in ("standard_deviation", "n"):
        part = {key: value for key, value in whole.items() if key != name}
        assert results.described(part, names) == "nats; mean"


def test_the_commits_of_all_parts_are_named(book: Path) -> None:
    change(book, put_together)
    _, title, _ = results.quoted(book, f"{WHOLE.stem} across_seeds.log_likelihood .1f")
    commit = json.loads(WHOLE.read_text())["environment"]["commit"]
    assert title.endswith(f"commit {commit[:10]}")
