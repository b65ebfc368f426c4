"""The page says what the figures say; the project's own is made of its own figures."""

import dataclasses
import pathlib
import re

import pytest

from benchmarks.results import figures, page, readme, record, verdicts
from benchmarks.results.cells import Cell
from benchmarks.results.evidence import gather
from lensing_tfds.errors import LensingError
from tests.benchmarks.results import judged
from tests.benchmarks.results.judged import put

ROOT = pathlib.Path(__file__).parents[3]
FIGURES = ROOT / "docs" / "results.json"
UNET, CLOSED, STACK = (Cell("v11", model) for model in ("unet", "iterated", "6x64-9"))


@pytest.fixture(name="metrics", scope="module")
def metrics_fixture():
    return judged.some_metrics()


def rendered(results):
    return page.render(gather(results), "results.png")


def test_the_page_shows_every_cell_the_best_and_the_default(tmp_path, metrics):
    put(tmp_path, CLOSED, metrics, 0.63)
    put(tmp_path, UNET, metrics, 0.6312, above=0.0012, error=0.0002)
    put(tmp_path, STACK, metrics, 0.01, above=-0.62, error=0.003)
    (tmp_path / "v12-unet").mkdir()
    Cell("v12", "unet").fail(tmp_path, "it <diverged>", 10.0)
    text = rendered(tmp_path)
    row = next(line for line in text.splitlines() if line.startswith("| [v11](#v11) |"))
    assert "| 0.6300 ◆ | **0.6312** | 0.0100 |" in row
    assert "by 0.0012 ± 0.0002" in text and "it **beats** the iterated" in text
    assert "`unet` failed: it &lt;diverged>" in text
    for cell in (UNET, STACK):
        assert f"--versions v11 --models {cell.model} --minutes 10" in text
    assert "--models iterated --max_examples 4\n" in text
    score = next(line for line in text.splitlines() if line.startswith("| `unet` |"))
    assert (
        "+0.0012 ± 0.0002" in score
        and "| 10.0 | 8.0 | 1.5 GiB | 12,345 | 0 | 2026-11-27, 0.1.0 |" in score
    )
    bands = [line for line in text.splitlines() if re.match(r"\| \d+–\d+ \|", line)]
    assert len(bands) == len(metrics.ell)


@pytest.mark.parametrize(
    ("above", "words"),
    [(0.001, "it **beats**"), (0.0001, "cannot be told from"), (-0.001, "stays **below**")],
)
def test_the_sentence_is_by_the_difference_and_its_error(tmp_path, metrics, above, words):
    put(tmp_path, UNET, metrics, 0.63, above=above, error=0.0001)
    assert words in verdicts.sentence(gather(tmp_path)[0])
    put(tmp_path, UNET, metrics, 0.63, above=above, error=1.0)
    assert "cannot be told from" in verdicts.sentence(gather(tmp_path)[0])


def test_bands_in_which_the_default_is_below_a_quadratic_estimator_are_named(tmp_path, metrics):
    put(tmp_path, CLOSED, metrics, 0.63)
    (version,) = gather(tmp_path)
    default = dataclasses.replace(version.made[0], below_quadratic=())
    good = dataclasses.replace(version, made=(default,))
    bad = dataclasses.replace(
        version, version="v12", made=(dataclasses.replace(default, below_quadratic=(0, 2)),)
    )
    other = dataclasses.replace(version, version="v10", made=())
    first, _, third = figures.band_names(version)[:3]
    assert verdicts.defaults_beside_quadratic([good, bad, other]) == (
        "The default is at or above every quadratic estimator, in every band of L and within 3 σ, "
        f"on v11; it is below one on v12 (L = {first}, {third}); not judged here on v10."
    )


def test_without_a_trained_network_the_sentence_says_so(tmp_path, metrics):
    put(tmp_path, CLOSED, metrics, 0.63)
    assert verdicts.sentence(gather(tmp_path)[0]) == "No network was trained on v11 yet."


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.0012, 0.0002, "0.0012 ± 0.0002"),
        (0.000284, 0.0000187, "0.00028 ± 0.00002"),
        (0.05, 0.0, "0.0500 ± 0.0000"),
    ],
)
def test_an_error_has_a_digit(value, error, text):
    assert verdicts.plus_minus(figures.Difference(value, error)) == text


def test_a_default_is_stale_where_another_is_better_beyond_chance(tmp_path, metrics):
    put(tmp_path, UNET, metrics, 0.6312, above=0.0012, error=0.0002)
    assert "its default, iterated, was not judged" in verdicts.stale_default(gather(tmp_path)[0])
    put(tmp_path, CLOSED, metrics, 0.63)
    found = verdicts.stale_default(gather(tmp_path)[0])
    assert found == "v11: unet is 0.0012 ± 0.0002 above the default, iterated"
    put(tmp_path, UNET, metrics, 0.6312, above=0.0012, error=0.001)
    assert verdicts.stale_default(gather(tmp_path)[0]) is None
    put(tmp_path, UNET, metrics, 0.6309, above=0.0009, error=0.0001)  # and not worth the minutes
    assert verdicts.stale_default(gather(tmp_path)[0]) is None


def test_the_page_is_written_with_its_figures_its_picture_and_the_readmes_part(tmp_path, metrics):
    put(tmp_path / "runs", CLOSED, metrics, 0.63)
    text = tmp_path / "README.md"
    text.write_text("a\n<!-- results: defaults -->\nold\n<!-- end of results -->\nb\n")
    target = tmp_path / "docs" / "results.md"
    page.write(gather(tmp_path / "runs"), target, text)
    found = record.read(target.with_suffix(".json"))
    assert target.read_text() == page.render(found, "results.png")
    assert target.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert text.read_text() == readme.filled(text.read_text(), found)
    assert "| `lensing/v11` | " in text.read_text() and "| 0.6300 ± 0.0010" in text.read_text()
    assert "old" not in text.read_text()


def test_a_page_keeps_the_figures_of_folders_that_are_not_there(tmp_path, metrics):
    put(tmp_path / "one", CLOSED, metrics, 0.63)
    put(tmp_path / "other", UNET, metrics, 0.6312, above=0.0012)
    put(tmp_path / "both", CLOSED, metrics, 0.63)
    put(tmp_path / "both", UNET, metrics, 0.6312, above=0.0012)
    for name in ("one", "other", "neither", "both"):
        assert page.write(gather(tmp_path / name), tmp_path / "results.md") == ()
        if name != "one":
            assert (tmp_path / "results.md").read_text() == rendered(tmp_path / "both")
    put(tmp_path / "other", UNET, judged.some_metrics(5), 0.6)
    (line,) = page.write(gather(tmp_path / "other"), tmp_path / "results.md")
    assert line.startswith(f"{tmp_path}/results.json: v11 iterated is dropped: it was judged on 4")


def test_a_page_has_the_posterior_that_was_measured_since(tmp_path, metrics):
    """Of versions whose runs are elsewhere too: it is from the package's own file."""
    put(tmp_path / "runs", UNET, metrics, 0.63)
    target = tmp_path / "results.md"
    page.write(gather(tmp_path / "runs"), target)
    figures_file = page.figures_of(target)
    (kept,) = record.read(figures_file)
    assert kept.posterior is not None
    record.write([dataclasses.replace(kept, posterior=None)], figures_file)
    page.write((), target)
    (found,) = record.read(figures_file)
    assert found.posterior == kept.posterior and found.made == kept.made


def test_the_readmes_table_has_the_best_fitted_and_the_best_trained_network(tmp_path, metrics):
    put(tmp_path, CLOSED, metrics, 0.63)
    put(tmp_path, UNET, metrics, 0.6312, above=0.0012)
    (v11,) = gather(tmp_path)
    others = [dataclasses.replace(v11, version=name) for name in ("v8", "v17")]
    text = readme.filled("<!-- results: defaults -->\n<!-- end of results -->", [*others, v11])
    assert re.findall(r"`lensing/(v\d+)`", text) == ["v11", "v17"]
    cells = [cell.strip() for cell in text.splitlines()[3].split("|")[1:-1]]
    assert cells[0] == "`lensing/v11`" and cells[2].startswith("0.6300 ± 0.0010")
    assert cells[3].startswith("0.6312 ± 0.0010, `unet`")


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "<!-- results: defaults -->",
        "<!-- results: tables -->\n<!-- end of results -->",
        "<!-- results: defaults -->\n<!-- end of results -->\n" * 2,
    ],
)
def test_a_readme_without_its_part_is_refused(text):
    with pytest.raises(LensingError, match="results:"):
        readme.filled(text, ())


def test_a_page_of_another_kind_is_refused(tmp_path):
    with pytest.raises(LensingError, match=r"is no \.md"):
        page.write((), tmp_path / "page.html")


def test_the_projects_page_is_made_of_its_figures():
    found = record.read(FIGURES)
    assert FIGURES.with_suffix(".md").read_text("utf-8") == page.render(found, "results.png")
    assert FIGURES.with_suffix(".png").exists()


def test_the_projects_readme_says_what_the_page_says():
    text = (ROOT / "README.md").read_text("utf-8")
    assert readme.filled(text, record.read(FIGURES)) == text


def test_the_default_of_each_version_is_the_best_network_of_the_page():
    stale = map(verdicts.stale_default, record.read(FIGURES))
    assert [line for line in stale if line is not None] == []
