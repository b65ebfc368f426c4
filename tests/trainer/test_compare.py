"""`python -m trainer.compare` overlays judged runs, or says in one line why it cannot."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from estimators import compared_runs, estimator
from estimators.judge import judge_estimators
from estimators.metrics_json import Metrics
from estimators.reports import comparison, page
from estimators.uncertainty import measured_uncertainty
from tests.estimators import skies
from trainer.compare import main


@pytest.fixture(name="runs")
def runs_fixture(tmp_path):
    """A good run, judged beside a reference, and a useless one, judged alone."""
    rng = np.random.default_rng(0)
    kappa = skies.kappa_maps(30, rng)
    noise = skies.kappa_maps(30, rng)
    (reference,) = skies.oracle(kappa + 2 * noise)
    reference = estimator.Estimator("qe_tt_wiener", "QE TT, Wiener", reference.predict, "theory")
    judged(tmp_path / "good", kappa, [*skies.oracle(0.8 * kappa), reference])
    judged(tmp_path / "useless", kappa, skies.oracle(0 * kappa))
    return [tmp_path / "good", tmp_path / "useless"]


def judged(run, kappa, estimators):
    """Makes a run's folder, of the first of these estimators."""
    skill = judge_estimators(
        skies.batches(kappa), estimators, skies.ENSEMBLE, "test", np.random.default_rng(0)
    )
    run.mkdir()
    text = Metrics.of("lensing/<small>", "1x4-3", skill).to_text()
    (run / "metrics.json").write_text(text)


EDGES = (
    skies.ENSEMBLE.bands.edges * np.append(0.99, np.ones(len(skies.ENSEMBLE.bands.ell)))
).tolist()


def changed(run, **fields):
    path = run / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def error_line(runs, tmp_path, capsys, *flags):
    output = tmp_path / "page.html"
    with pytest.raises(SystemExit) as exit:
        main([*map(str, runs), "--output", str(output), *flags])
    assert exit.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1
    assert not output.exists()
    return line


def test_runs_and_what_they_were_judged_beside_are_overlaid(runs, tmp_path, capsys):
    output = tmp_path / "page.html"
    main([*map(str, runs), "--output", str(output)])
    header, good, useless, reference, where = capsys.readouterr().out.splitlines()
    assert good.split() == ["good", "1.0000", "±", "0.0000", "4.0%"]
    assert useless.split() == ["useless", "0.0000", "±", "0.0000", "100.0%"]
    assert reference.startswith("QE TT, Wiener  0.")
    assert str(output) in where
    html = output.read_text()
    assert html.count("data:image/svg+xml") == 3
    for phrase in ("lensing/&lt;small&gt;", "good", "useless", "QE TT, Wiener", "theory"):
        assert phrase in html
    assert "<script" not in html
    assert 'class="scroll wide"' not in html  # on a small screen nothing is off it


@pytest.mark.parametrize(
    "name", [r"$\frac{$", "<script>", 'a "b"\nc', "x" * 200, "裏面", "_hidden"]
)
def test_a_weak_run_of_any_name_has_a_page(runs, tmp_path, name):
    """Its response is nowhere above zero: there is no noise to draw."""
    weak = runs[1].rename(tmp_path / name)
    output = tmp_path / "page.html"
    main([str(weak), "--output", str(output)])
    html = output.read_text()
    assert html.count("data:image/svg+xml") == 3 and "<script" not in html


def test_skies_off_the_training_distribution_are_shown_where_they_were_tried(
    runs, tmp_path, capsys
):
    def table(*values):
        names = ("unchanged", "κ x <0.8>")
        rows = [
            {"name": name, "map_correlation": value, "map_correlation_error": 0.01}
            for name, value in zip(names, values, strict=True)
        ]
        return {"num_examples": 30, "rows": rows}

    found = {"network": table(0.9, 0.8), "qe_tt_wiener": table(0.5, 0.4)}
    changed(runs[0], checks={"out_of_distribution": found})
    output = tmp_path / "page.html"
    main([*map(str, runs), "--output", str(output)])
    head, good, reference, _ = capsys.readouterr().out.splitlines()[4:]
    assert head.split() == ["map-level", "rho", "on", "unchanged", "κ", "x", "<0.8>"]
    assert good.split() == ["good", "0.9000", "±", "0.0100", "0.8000", "±", "0.0100"]
    assert reference == "QE TT, Wiener     0.5000 ± 0.0100  0.4000 ± 0.0100"
    html = output.read_text()
    assert "κ x &lt;0.8&gt;" in html and "<td>0.8000 ± 0.0100</td>" in html
    assert html.count(">useless</th>") == 1  # it was not tried


def test_coverage_is_shown_of_the_runs_that_give_errors(runs, tmp_path, capsys):
    rng = np.random.default_rng(0)
    kappa = skies.kappa_maps(30, rng)  # as in the other runs
    estimate = kappa + 0.5 * skies.kappa_maps(30, rng)
    errors = measured_uncertainty([(kappa, estimate)], skies.ENSEMBLE.bands)
    for name, power in (("right", errors.power), ("narrow", errors.power / 4)):
        (sure,) = skies.oracle(estimate)
        errors = dataclasses.replace(errors, power=power)
        judged(tmp_path / name, kappa, [dataclasses.replace(sure, uncertainty=errors)])
    output = tmp_path / "page.html"
    main([str(runs[0]), str(tmp_path / "right"), str(tmp_path / "narrow"), "--output", str(output)])
    head, *lines = capsys.readouterr().out.splitlines()[5:9]
    assert head.split() == (
        ["truths", "held,", "%"]
        + ["68", "%:", "pixels", "modes,", "by", "band"]
        + ["95", "%:", "pixels", "modes,", "by", "band"]
    )
    of_pixels = {line.split()[0]: float(line.split()[1]) for line in lines[:2]}
    # Measured on these very examples: 68 % but for the one value more that the quantile reaches.
    assert of_pixels["right"] == pytest.approx(68, abs=0.1)
    # Half as wide: of a Gaussian of one standard deviation they hold 38 %.
    assert of_pixels["narrow"] == pytest.approx(38, abs=1.5)
    assert lines[2] == "Judged here are examples that they were not measured on."
    html = output.read_text()
    assert html.count("data:image/svg+xml") == 4
    section = html.partition("The estimates&#x27; errors")[2]
    assert "68 %: pixels" in section and lines[2] in section


def test_comparing_waits_for_no_tensorflow(runs, tmp_path):
    arguments = [*map(str, runs), "--output", str(tmp_path / "page.html")]
    code = f"import sys; from trainer.compare import main; main({arguments}); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = out.stdout.split()
    assert "estimators.compared_runs" in loaded and "tensorflow" not in loaded


def test_folders_of_one_name_are_told_apart(runs, tmp_path, capsys):
    twin = tmp_path / "elsewhere" / "good"
    twin.mkdir(parents=True)
    (twin / "metrics.json").write_bytes((runs[0] / "metrics.json").read_bytes())
    main([str(runs[0]), str(twin), "--output", str(tmp_path / "page.html")])
    assert f"{twin}  1.0000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"dataset": "lensing/v8"}, "dataset lensing/v8"),
        ({"num_examples": 7}, "num_examples 7"),
        ({"ell_edges": EDGES}, "bands"),
    ],
)
def test_other_examples_do_not_compare(runs, tmp_path, capsys, fields, phrase):
    changed(runs[1], **fields)
    line = error_line(runs, tmp_path, capsys)
    assert phrase in line and "only scores on the same examples compare" in line


def test_other_examples_under_one_name_do_not_compare(runs, tmp_path, capsys):
    """As of another seed: their number and their bands are the same."""
    true_cl = json.loads((runs[1] / "metrics.json").read_text())["true_cl"]
    changed(runs[1], true_cl=[value * (1 + 1e-6) for value in true_cl])  # another processor
    main([*map(str, runs), "--output", str(tmp_path / "same.html")])
    changed(runs[1], true_cl=[true_cl[0] * 1.001, *true_cl[1:]])
    line = error_line(runs, tmp_path, capsys)
    assert f"{runs[1]} was judged on other examples than {runs[0]}: their true κ" in line


def test_other_multipoles_of_the_same_bands_do_not_compare(runs, tmp_path, capsys):
    ell = json.loads((runs[1] / "metrics.json").read_text())["ell"]
    changed(runs[1], ell=[ell[0] * 1.001, *ell[1:]])
    assert "have other 'ell' in the same bands" in error_line(runs, tmp_path, capsys)


def test_scores_of_a_network_that_is_another_now_do_not_compare(runs, tmp_path, capsys):
    """As when training went on after the run was judged."""
    network = runs[0] / "best.keras"
    network.write_bytes(b"two epochs")
    changed(runs[0], fingerprint={"best.keras": hashlib.sha256(b"two epochs").hexdigest()})
    main([*map(str, runs), "--output", str(tmp_path / "same.html")])
    capsys.readouterr()
    network.write_bytes(b"six epochs")
    line = error_line(runs, tmp_path, capsys)
    assert "holds the scores of another best.keras than is there now; judge again, with " in line
    assert f"python -m trainer.evaluate --workdir {runs[0]}" in line
    network.unlink()
    assert "another best.keras" in error_line(runs, tmp_path, capsys)


def test_scores_of_an_earlier_release_are_shown_with_a_note(runs, tmp_path, capsys):
    path = runs[0] / "metrics.json"
    values = json.loads(path.read_text())
    del values["fingerprint"]
    path.write_text(json.dumps(values))
    output = tmp_path / "page.html"
    main([*map(str, runs), "--output", str(output)])
    note = (
        "good: its metrics.json is of an earlier release and does not say which files were judged"
    )
    assert f"note: {note}" in capsys.readouterr().out
    assert note in output.read_text() and "useless: its" not in output.read_text()


def test_only_a_page_of_its_own_is_overwritten(runs, tmp_path, capsys):
    output = tmp_path / "page.html"
    for _ in range(2):
        main([*map(str, runs), "--output", str(output)])
    capsys.readouterr()
    kept = {"mine.html": "<html>", "report.html": page.document("a run", "")}
    kept |= {"metrics.json": (runs[0] / "metrics.json").read_text(), "best.keras": "weights"}
    for name, content in kept.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(SystemExit) as exit:
            main([*map(str, runs), "--output", str(tmp_path / name)])
        assert exit.value.code == 2
        line = capsys.readouterr().err
        assert str(tmp_path / name) in line and line.count("\n") == 1
        assert (tmp_path / name).read_text() == content
    for name in ("page", "page.json"):
        with pytest.raises(SystemExit):
            main([*map(str, runs), "--output", str(tmp_path / name)])
        assert "must end in .html" in capsys.readouterr().err
        assert not (tmp_path / name).exists()


def test_what_could_not_be_normalised_has_no_scores(runs, tmp_path, capsys):
    path = runs[0] / "metrics.json"
    values = json.loads(path.read_text())
    values["estimators"]["qe_tt_wiener"]["normalised_share"] = 0.0
    path.write_text(json.dumps(values))
    main([*map(str, runs), "--output", str(tmp_path / "page.html")])
    assert "QE TT, Wiener  –                  –" in capsys.readouterr().out.splitlines()
    drawn = comparison._overlay(compared_runs.read(runs), "rho_ell", "", False)
    assert [t.get_text() for t in drawn.legends[0].get_texts()] == ["good", "useless"]


def test_the_page_is_named_as_it_is_where_the_encoding_lacks_its_letters(runs, tmp_path):
    output = tmp_path / "ascii κ.html"
    done = subprocess.run(
        [sys.executable, "-m", "trainer.compare", str(runs[0]), "--output", str(output)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.stdout.decode("ascii").endswith(f"report: {tmp_path}/ascii \\u03ba.html\n")
    assert output.exists()


def test_a_run_that_was_not_judged_is_named(runs, tmp_path, capsys):
    line = error_line(runs, tmp_path, capsys, "--split", "validation")
    assert f"{runs[0]} has no metrics-validation.json" in line
    assert f"python -m trainer.evaluate --workdir {runs[0]} --split validation" in line


def test_metrics_of_an_earlier_release_are_named(runs, tmp_path, capsys):
    path = runs[0] / "metrics.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in values.items() if k != "noise_ell"}))
    line = error_line(runs, tmp_path, capsys)
    assert f"{path}: 'noise_ell' is missing; judge again, with python -m trainer.evaluate" in line
    path.write_text("{}")
    assert "metrics.json: 'ell' is missing" in error_line(runs, tmp_path, capsys)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\x00", b'{"ell": 1, "ell": 2}', b'{"mse": NaN}']
)
def test_damaged_metrics_are_named(runs, tmp_path, capsys, content):
    (runs[1] / "metrics.json").write_bytes(content)
    line = error_line(runs, tmp_path, capsys)
    assert line.startswith(f"error: {runs[1]}/metrics.json") and "judge again, with" in line


def test_a_page_that_cannot_be_written_is_named(runs, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(runs[0]), "--output", str(tmp_path / "nowhere" / "page.html")])
    assert "cannot write" in capsys.readouterr().err
