import pytest

from lensing_tfds.errors import LensingError
from trainer.networks import architectures


def test_a_name_gives_its_layers():
    parsed = architectures.parse("4x64-1x32-9")
    assert parsed.filters == [64, 64, 64, 64, 32]
    assert parsed.last_kernel == 9
    assert parsed.upsampling == 1


def test_hires_is_six_layers_of_64_on_a_grid_twice_as_fine():
    assert architectures.parse("hires") == architectures.Architecture(((6, 64),), 3, upsampling=2)


@pytest.mark.parametrize(
    "name",
    ["", "64", "9", "4x64", "4x64-", "-9", "4x64-9-", "4x64--9", "0x64-9", "4x0-9", "4x64-0"]
    + ["4x64-8", "4X64-9", " 4x64-9", "4x64-9\n", "4x64-1x32", "hires-3", "04x64-9", "unet"],
)
def test_a_name_outside_the_grammar_is_refused_with_the_grammar_and_an_example(name):
    with pytest.raises(LensingError, match=r"LxF-\.\.\.-K .* as in 4x64-1x32-9; or hires"):
        architectures.parse(name)
