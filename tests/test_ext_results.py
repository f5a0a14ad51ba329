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

from ganlib import evaluation, runs, studies
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


def change(book: Path, mutate: Callable[[dict[str, Any]], object], name: str = WHOLE.name) -> None:
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
        (set_to(..., "environment"), "it lacks environment; run python -m ganlib reproduce dcgan-digits"),
        (set_to(..., "data"), "it lacks data"),
        (set_to([], "seeds"), "it lacks seeds"),
        (set_to([0, 1], "seeds"), "its seeds are [0, 1], and it has figures of 0"),
        (set_to("0" * 64, "weights", "0", "sha256"), f"{WEIGHTS} is another file than the one it names"),
        (set_to(17, "weights", "0", "bytes"), "bytes, not 17 as it says"),
        (set_to("gone.safetensors", "weights", "0", "file"), "it names gone.safetensors, which is not beside it"),
        (set_to(99.0, "across_seeds", "log_likelihood", "mean"), "across_seeds has log_likelihood.mean 99.0, its"),
        (set_to("python train.py --out /home/me/x", "command"), "names a folder of one machine"),
        (set_to("read from C:\\data", "data", ), "names a folder of one machine"),
        (set_to(float("nan"), "wall_seconds"), "it holds NaN, which is no number"),
        (set_to(float("inf"), "wall_seconds"), "it holds Infinity"),
        (
            set_to({"by_seed": {"0": {"iteration": 62}}}, "snapshots"),
            f"{WEIGHTS} is of iteration 6200, not 62 as it says",
        ),
        (lambda content: [content.pop(name) for name in ("run",)], "it names no run, no study and no benchmark"),
    ],
)  # fmt: skip
def test_a_changed_result_is_found(book: Path, mutate: Callable[[dict[str, Any]], object], says: str) -> None:
    change(book, mutate)
    found = checks.problems(book)
    assert any(says in problem for problem in found), found
    assert all(problem.startswith("book/results/") for problem in found)


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
    monkeypatch.setattr(checks, "LARGEST", 50)
    assert [p for p in checks.problems(book) if "left-over.npz: 100 bytes, and no file may have more than 50" in p]
    monkeypatch.setattr(checks, "TOGETHER", 1000)
    assert [p for p in checks.problems(book) if p.startswith("book/results: ") and "more than 1,000" in p]


@pytest.fixture
def study(book: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with two settings, and a committed result of it that read the run's weights."""

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        images: int = 50
        widths: tuple[float, ...] = (0.1, 0.2)

    module = ModuleType("ganlib.studies.trial")
    module.Settings = Settings
    monkeypatch.setitem(sys.modules, "ganlib.studies.trial", module)
    monkeypatch.setitem(studies.STUDIES, "trial", "a trial")
    run = json.loads(WHOLE.read_text())
    content = {name: run[name] for name in ("data", "environment", "started", "wall_seconds", "command")}
    content |= {"study": "trial", "settings": {"images": 50, "widths": [0.1, 0.2]}}
    content["inputs"] = {WEIGHTS: run["weights"]["0"]["sha256"], "elsewhere.npz": "0" * 64}
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
        (set_to({"trial.npz": "1" * 64}, "files"), "it names trial.npz, which is not beside it"),
    ],
)
def test_a_changed_result_of_a_study_is_found(
    study: Path, mutate: Callable[[dict[str, Any]], object], says: str
) -> None:
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
    """As `combine` writes it, with an average of each seed's snapshots."""
    making = ("environment", "started", "wall_seconds", "command")
    content["parts"] = [{"seeds": [0], **{name: content.pop(name) for name in making}}]
    averaged = {"0": {**content["figures_by_seed"]["0"], "weights": dict(content["weights"]["0"])}}
    content["averaged"] = {"by_seed": averaged, "across_seeds": evaluation.across_seeds(list(averaged.values()))}


@pytest.mark.parametrize(
    ("mutate", "says"),
    [
        (None, None),
        (lambda content: content["parts"][0]["environment"].update(dirty=True), "dirty is True"),
        (lambda content: content["parts"][0].pop("command"), "it lacks command"),
        (lambda content: content["parts"][0].update(seeds=[1]), "its parts are of seeds [1], and it says [0]"),
        (
            set_to(99.0, "averaged", "across_seeds", "log_likelihood", "mean"),
            "across_seeds has log_likelihood.mean 99.0",
        ),
        (set_to("0" * 64, "averaged", "by_seed", "0", "weights", "sha256"), "is another file than the one it names"),
        (set_to(93, "settings", "iterations"), "its setting iterations is 93"),
    ],
)
def test_seeds_put_together_and_their_averages_are_checked(
    book: Path, mutate: Callable[[dict[str, Any]], object] | None, says: str | None
) -> None:
    change(book, put_together)
    if mutate is not None:
        change(book, mutate)
    found = checks.problems(book)
    assert any(says in problem for problem in found) if says else found == []


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


def test_the_commits_of_all_parts_are_named(book: Path) -> None:
    change(book, put_together)
    _, title, _ = results.quoted(book, f"{WHOLE.stem} across_seeds.log_likelihood .1f")
    commit = json.loads(WHOLE.read_text())["environment"]["commit"]
    assert title.endswith(f"commit {commit[:10]}")
