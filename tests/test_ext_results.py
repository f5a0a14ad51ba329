"""The roles that quote committed results, and what others published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from sphinx_pages import build, extension

ROOT = Path(__file__).resolve().parents[1]
WHOLE = ROOT / "ganlib" / "widgets" / "assets" / "latent-explorer.json"
BIBLIOGRAPHY = "@inproceedings{goodfellow2014, author={Goodfellow, Ian and A, B and C, D}, title={T}, year={2014}}\n"
CONF = """\
source_suffix = {'.md': 'markdown'}  # Sphinx keeps what another test's parser put into its default
extensions = ['myst_parser', 'sphinxcontrib.bibtex', 'results', 'typed_numbers']
bibtex_bibfiles = ['references.bib']
exclude_patterns = ['_build']
"""
results = extension("results")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A tree with one committed result, and a page to be written."""
    folder = tmp_path / "book" / "results"
    folder.mkdir(parents=True)
    shutil.copy(WHOLE, folder)
    (tmp_path / "references.bib").write_text(BIBLIOGRAPHY)
    return tmp_path


def built(folder: Path, text: str) -> tuple[BeautifulSoup, list[str]]:
    page = folder / "index.md"
    if not page.exists() or page.read_text() != f"# Page\n\n{text}\n":  # else it is not read again
        page.write_text(f"# Page\n\n{text}\n")
    pages, warnings = build(folder, CONF)
    return BeautifulSoup((pages / "index.html").read_text(), "html.parser"), warnings.splitlines()


def test_result_shows_the_number_and_says_where_it_comes_from(book: Path) -> None:
    name = "latent-explorer"
    page, complaints = built(
        book,
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
    commit = content["environment"]["commit"][:10]
    assert title.endswith(f"figures_by_seed.0.figures.log_likelihood; run dcgan-digits; commit {commit}")


UNSHOWN = [
    ("{result}`latent-explorer across_seeds.sigma mean`", "is not a file, a path and a format (.1f"),
    ("{result}`latent-explorer.json`", "is not a file, a path and a format"),
    ("{result}`latent-explore across_seeds .1f`", "no committed result 'latent-explore'; the nearest are latent-e"),
    ("{result}`latent-explorer across_seed.sigma.mean .1f`", "no entry 'across_seed'; the nearest are across_seed"),
    ("{result}`latent-explorer across_seeds.sigma.median .1f`", "across_seeds.sigma has no entry 'median'; the n"),
    ("{result}`latent-explorer seeds.3 d`", "seeds has no entry '3'; the nearest are 0"),
    ("{result}`latent-explorer seeds d`", "seeds is list [0], no number"),
    ("{result}`latent-explorer environment .1f`", "environment is no number; it has python, torch"),
    ("{result}`latent-explorer environment.dirty d`", "environment.dirty is bool False, no number"),
    ("{result}`latent-explorer command .1f`", "cannot show"),
    ("{result}`latent-explorer across_seeds.sigma ±.1f`", "has no spread to show after ±"),
    ("{published}`225 ± 2 <goodfelow2014>`", "no source 'goodfelow2014'; the nearest are goodfellow2014"),
    ("{published}`225 ± 2`", "it names no source; end with <key>, a key of references.bib"),
]


def test_what_cannot_be_shown_is_complained_of_in_every_build(book: Path) -> None:
    for _ in range(2):  # the page is read in the first only
        _, complaints = built(book, "\n\n".join(f"See {role}." for role, _ in UNSHOWN))
        for place, ((_, says), complaint) in enumerate(zip(UNSHOWN, complaints, strict=True)):
            assert f"index.md:{3 + 2 * place}: WARNING" in complaint
            assert says in complaint
            assert complaint.endswith("[ganlib.results]")
    _, complaints = built(book, "See nothing.")
    assert complaints == []


def test_published_names_its_source_to_the_reader(book: Path) -> None:
    page, complaints = built(book, "They have {published}`225 ± 2 <goodfellow2014>` nats.")
    assert complaints == []
    (number,) = page.select("span.published")
    assert number.text == "225 ± 2"
    assert number["title"] == "published by Goodfellow et al. (2014), not measured here"


def test_keys_with_dots_and_spaces_are_found() -> None:
    content = {"ratios": {"fp32 / bf16": {"median": 1}, "0.5": {"a.b": [2]}, "0": {"5": {"c": 3}}}}
    assert results.at(content, "ratios.fp32 / bf16.median") == 1
    assert results.at(content, "ratios.0.5.a.b.0") == 2
    assert results.at(content, "ratios.0.5.c") == 3
    with pytest.raises(ValueError, match=r"ratios\.0\.5 has no entry 'd'"):
        results.at(content, "ratios.0.5.d")


def test_a_name_in_two_folders_needs_its_folder(tmp_path: Path) -> None:
    for folder in ("book/results", "benchmarks/results"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "parzen.json").write_text("{}")
    with pytest.raises(ValueError, match="put the folder in front of it"):
        results.find(tmp_path, "parzen")
    assert results.find(tmp_path, "benchmarks/results/parzen") == tmp_path / "benchmarks" / "results" / "parzen.json"


def test_what_others_published_is_no_result() -> None:
    with pytest.raises(ValueError, match=r"published.mean was not measured here; write \{published\} with the number"):
        results.quoted(ROOT, "parzen-sweep published.mean d")


def test_only_a_mean_over_seeds_is_called_one() -> None:
    names = ("mean", "standard_deviation")
    whole = {"mean": 1.0, "standard_deviation": None, "n": 2, "unit": "nats"}
    assert results.described(whole, names) == "nats; mean over 2 seeds; ± is the standard deviation over seeds"
    for name in ("standard_deviation", "n"):
        part = {key: value for key, value in whole.items() if key != name}
        assert results.described(part, names) == "nats; mean"


def test_the_commits_of_all_parts_are_named() -> None:
    parts = [{"environment": {"commit": letter * 40}} for letter in "bab"]
    assert list(results.made({"run": "x", "parts": parts})) == ["run x", f"commit {'a' * 10}, {'b' * 10}"]
