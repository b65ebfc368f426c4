"""The cards of the networks that come with the package say what each is, and is not for."""

import pathlib

from benchmarks.model_cards import fits, page
from trainer.pretrained_models import FOLDER, pretrained

DOCS = pathlib.Path(__file__).parents[2] / "docs"


def test_the_page_in_the_repository_is_the_one_that_the_command_writes():
    written = (DOCS / "pretrained.md").read_text("utf-8")
    assert page(fits(DOCS / "results.json")) == written, "run python -m benchmarks.model_cards"


def test_each_network_has_a_card_with_its_limits_and_its_time():
    text = page({"v11": (128, "3 minutes (a processor)"), "v12": (64, "a second (of another fit)")})
    sections = {section.partition("\n")[0]: section for section in text.split("\n## ")[1:]}
    assert sections.keys() == {path.stem for path in FOLDER.glob("*.json")}
    for name, section in sections.items():
        network = pretrained(f"lensing/{name}")
        assert network.limits and section.count("\n- ") == len(network.limits)
        assert f"the first {network.max_examples} training examples" in section
        assert f"{float(network.marks.map_correlation.value):.4f}" in section
        assert ("; a fit takes " in section) == (name == "v11")
