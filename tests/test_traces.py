"""Numbers of every method stay as they were stored; see `tests/traces.py`."""

import json

import numpy as np
import pytest

from tests import traces

TOLERANCE = 1e-3  # other processors round otherwise, and 50 steps of Adam carry that on


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in traces.ALL])
def test_a_method_takes_the_stored_steps(name):
    stored = json.loads(traces.path_of(name).read_text(encoding="utf-8"))
    trace = traces.trace_of(name)
    assert trace.keys() == stored.keys()
    assert len(trace["task"]) >= 2 * traces.STEPS
    for key, values in trace.items():
        wanted = np.array(stored[key], float)
        tolerance = 3.0 if key.endswith("accuracy") else TOLERANCE * np.nanmax(np.abs(wanted), initial=1e-6)
        np.testing.assert_allclose(np.array(values, float), wanted, rtol=0, atol=tolerance, err_msg=key)


def test_every_trace_belongs_to_a_method():
    assert {path.name for path in traces.DIRECTORY.iterdir()} == {traces.path_of(name).name for name in traces.ALL}
