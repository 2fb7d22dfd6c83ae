"""Several methods with several seeds: scores by hand, tables in every format."""

import csv
import io
import json
import math
import re

import numpy as np
import pytest

from clrnn_tf.analysis import formats
from clrnn_tf.analysis.comparison import SeedGroup, compare
from clrnn_tf.analysis.scores import mean_of_tasks, of_tasks, so_far
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording.run_directory import as_json

NAMES = ("en", "de", "cs_pdt")


def matrix_of(rows, names=NAMES, joint=False):
    """A run with these accuracies; losses are 10 nats less a tenth of them."""
    return ResultMatrix(
        names,
        initial=[Evaluation(10.0, 0.0)] * len(names),
        rows=[[Evaluation(10 - accuracy / 10, accuracy) for accuracy in row] for row in rows],
        joint=joint,
    )


def run(shift=0.0):
    """Task `en` is best after the second task, and then falls by 30."""
    return matrix_of([[80 + shift, 10, 10], [90 + shift, 70, 10], [60 + shift, 50, 85]])


@pytest.fixture
def comparison():
    """HNET with seeds 0 to 2; SI with seeds 1 to 3, which is 10, 11 and 12 points lower on `en`."""
    hnet = {seed: run(seed) for seed in range(3)}
    si = {1: run(1 - 10), 2: run(2 - 11), 3: run(3 - 12)}
    return compare([SeedGroup("HNET", hnet, "hnet"), SeedGroup("SI_total", si, "si")])


def test_scores_of_a_matrix_by_hand():
    assert of_tasks(run(), "during", "accuracy").tolist() == [80, 70, 85]
    assert of_tasks(run(), "final", "accuracy").tolist() == [60, 50, 85]
    np.testing.assert_array_equal(of_tasks(run(), "forgetting", "accuracy"), [30, 20, np.nan])
    assert mean_of_tasks(run(), "forgetting", "accuracy") == 25
    assert so_far(run(), "accuracy").tolist() == [80, 80, 65]


def test_forgetting_is_that_of_the_matrix():
    scores = np.random.default_rng(0).uniform(0, 100, (6, 6))
    matrix = matrix_of(scores.tolist(), tuple("abcdef"))
    assert mean_of_tasks(matrix, "forgetting", "accuracy") == pytest.approx(matrix.forgetting())


def test_of_the_loss_forgetting_is_the_rise():
    np.testing.assert_allclose(of_tasks(run(), "forgetting", "loss"), [3.0, 2.0, np.nan])


def test_tasks_that_are_learned_jointly_have_final_scores_only():
    matrix = matrix_of([[90, 80, 70]], joint=True)
    assert mean_of_tasks(matrix, "final", "accuracy") == 80
    assert math.isnan(mean_of_tasks(matrix, "during", "accuracy"))
    assert math.isnan(mean_of_tasks(matrix, "forgetting", "accuracy"))
    assert so_far(matrix, "accuracy").tolist() == [80]


def test_one_task_is_not_forgotten():
    matrix = matrix_of([[90]], ("en",))
    assert mean_of_tasks(matrix, "final", "accuracy") == 90
    assert math.isnan(mean_of_tasks(matrix, "forgetting", "accuracy"))


def test_means_over_seeds_by_task_and_overall(comparison):
    assert comparison.score("HNET", "final", "en").mean == 61
    assert comparison.score("HNET", "final", "en").sem == pytest.approx(1 / math.sqrt(3))
    assert comparison.score("HNET", "final").mean == pytest.approx((61 + 50 + 85) / 3)
    assert comparison.score("HNET", "final").n == 3


def test_differences_are_over_the_seeds_that_both_have(comparison):
    found = comparison.difference("SI_total", "final", "en")
    assert found.seeds == (1, 2)
    assert found.estimate.mean == -10.5
    assert found.estimate.sem == pytest.approx(0.5)
    assert comparison.difference("SI_total", "final").estimate.mean == pytest.approx(-3.5)


def test_any_method_can_be_subtracted(comparison):
    other = compare(comparison.groups, against="SI_total")
    assert other.difference("HNET", "final", "en").estimate.mean == 10.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"against": "SI_tota"}, "unknown label 'SI_tota'. Did you mean SI_total?"),
        ({"metric": "f1"}, "metric must be one of loss, accuracy. Received: f1."),
    ],
)
def test_unknown_labels_and_metrics_are_named(comparison, change, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        compare(comparison.groups, **change)


def test_groups_must_have_labels_of_their_own_runs_and_the_same_tasks():
    group, other = SeedGroup("a", {0: run()}), SeedGroup("b", {0: matrix_of([[1]], ("fr",))})
    for groups, message in (
        ([], "at least one group"),
        ([group, group], "labels must differ. Received: a, a."),
        ([SeedGroup("a", {})], "at least one run"),
        ([group, other], "tasks must be en, de, cs_pdt. Received: fr (b, seed 0)."),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(message)):
            compare(groups)


def cells_of(text):
    """Rows of all Markdown tables, as lists of cells."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_markdown_has_aligned_columns_and_the_numbers(comparison):
    text = formats.markdown(comparison)
    rows = cells_of(text)
    assert next(row for row in rows if row[0] == "HNET")[:3] == ["HNET", "3", "78.67 ± 0.19 [77.84, 79.49]"]
    assert rows[[row[0] for row in rows].index("method minus HNET") + 2][:3] == [
        "SI_total",
        "2",
        "−3.50 ± 0.17 [−5.62, −1.38]",
    ]
    assert ["mean of tasks", "65.33 ± 0.19", "62.00 ± 0.00"] in rows
    table = text.split("\n\n")[1].splitlines()
    assert len({len(line) for line in table}) == 1
    assert "95 % interval" in text and "Student's t" in text


def test_the_last_task_has_no_row_of_forgetting(comparison):
    forgotten = formats.markdown(comparison).rpartition("forgotten since")[2]
    assert [row[0] for row in cells_of(forgotten)[2:]] == ["en", "de", "mean of tasks"]


def test_one_method_has_a_table_by_task_and_no_differences(comparison):
    text = formats.markdown(compare(comparison.groups[:1]))
    assert "minus" not in text
    assert ["cs_pdt", "85.00 ± 0.00 [85.00, 85.00]", "85.00 ± 0.00 [85.00, 85.00]", "–"] in cells_of(text)


def test_one_seed_has_neither_error_nor_interval():
    rows = cells_of(formats.markdown(compare([SeedGroup("a", {0: run()})])))
    assert ["a", "1", "78.33", "65.00", "25.00"] in rows


def test_latex_is_well_formed_and_escapes_what_is_special(comparison):
    text = formats.latex(comparison)
    assert "SI\\_total" in text and "cs\\_pdt" in text
    assert not re.search(r"(?<!\\)[_#&](?![^\n]*\\\\)", text.replace(" & ", " "))
    assert not re.search("[±−–]", text)
    assert text.count("\\begin{") == text.count("\\end{")
    assert text.count("{") == text.count("}")
    assert text.replace("\\$", "").count("$") % 2 == 0
    for table in re.findall(r"\\begin{tabular}{(\w+)}\n\\toprule\n(.*?)\\bottomrule", text, re.DOTALL):
        columns, body = table
        rows = [line for line in body.splitlines() if not line.startswith("\\midrule")]
        assert all(line.endswith(" \\\\") and line.count(" & ") == len(columns) - 1 for line in rows), rows
        assert not any(line.startswith("[") for line in rows)  # would be an option of the row before
    assert re.findall(r"\\label{(.*?)}", text) == [
        f"tab:{name}" for name in ("overall", "differences", "during", "final", "forgetting")
    ]


def test_csv_is_exact_and_leaves_empty_what_is_not_defined(comparison):
    rows = list(csv.DictReader(io.StringIO(formats.csv_of_scores(comparison))))
    assert len(rows) == 2 * 3 * 4
    (row,) = (row for row in rows if (row["method"], row["quantity"], row["task"]) == ("HNET", "final", ""))
    assert float(row["mean"]) == comparison.score("HNET", "final").mean
    assert float(row["sem"]) == comparison.score("HNET", "final").sem
    (row,) = (row for row in rows if (row["method"], row["quantity"], row["task"]) == ("HNET", "forgetting", "cs_pdt"))
    assert row["mean"] == "" and row["seeds"] == "3"
    (row, *_) = csv.DictReader(io.StringIO(formats.csv_of_differences(comparison)))
    assert (row["method"], row["minus"], row["seeds"]) == ("SI_total", "HNET", "2")


def test_json_holds_the_values_of_each_seed(comparison):
    stored = json.loads(as_json(formats.as_dict(comparison)))
    assert stored["tasks"] == list(NAMES)
    assert stored["methods"][0]["seeds"] == [0, 1, 2]
    assert stored["methods"][0]["final"] == pytest.approx([65, 65 + 1 / 3, 65 + 2 / 3])
    assert [row["mean"] for row in stored["scores"] if row["task"] == "cs_pdt" and row["quantity"] == "forgetting"] == [
        None,
        None,
    ]
    assert stored["differences"][-1]["seeds"] == [1, 2]


def test_small_p_values_are_not_written_as_zero():
    groups = [
        SeedGroup(name, {seed: run(seed * 1e-3 + low) for seed in range(9)}) for name, low in (("a", 0), ("b", -50))
    ]
    groups[1].runs[0].rows[-1][0] = Evaluation(0.0, 10.001)
    assert "< 0.0001" in formats.markdown(compare(groups))
    assert "$<$ 0.0001" in formats.latex(compare(groups))
