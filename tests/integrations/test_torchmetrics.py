"""The torchmetrics classes say what the functions say, however the images come in."""

from __future__ import annotations

import copy
import importlib
import pickle
import sys
from datetime import timedelta
from typing import Any

import pytest
import torch
import torch.distributed as dist
from matplotlib import pyplot
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from artifactlab import InputError, severity
from artifactlab.integrations.torchmetrics import (
    AxisExcess,
    CheckerboardEnergy,
    EdgeJaggedness,
    LatticeAmplitude,
    Severity,
)
from artifactlab.metrics import axis_excess, checkerboard_energy, edge_jaggedness, lattice_amplitude


def severities(images: Tensor, *, reduction: str = "mean") -> Tensor:
    """`severity`, reduced as the metrics are."""
    each = severity(images)
    return each.mean() if reduction == "mean" else each


FUNCTIONS: dict[Any, Any] = {
    EdgeJaggedness: edge_jaggedness,
    CheckerboardEnergy: checkerboard_energy,
    AxisExcess: axis_excess,
    LatticeAmplitude: lattice_amplitude,
    Severity: severities,
}
UNBOUNDED = (EdgeJaggedness, Severity)


def images() -> Tensor:
    """Four noisy stair-steps, each with a grid and noise of its own strength, (4, 1, 64, 64)."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    stairs = torch.ones(16, 16).tril(2).repeat_interleave(4, 0).repeat_interleave(4, 1)
    strength = torch.arange(0.0, 6.0, 1.5)[:, None, None, None] / 100
    noise = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(3))
    return 0.2 + 0.5 * stairs + strength * ((-1.0) ** (x + y) + noise)


@pytest.fixture(params=FUNCTIONS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def measured(metric: Metric, *batches: Tensor) -> Tensor:
    for batch in batches:
        metric.update(batch)
    return metric.compute()


@pytest.mark.parametrize("sizes", [[4], [1, 3]])
def test_batches_of_any_size_add_up_to_the_functions_mean(kind: Any, sizes: list[int]) -> None:
    expected = FUNCTIONS[kind](images())
    assert expected > 0.005
    torch.testing.assert_close(measured(kind(), *images().split(sizes)), expected, rtol=1e-6, atol=0)


def test_data_range_and_period_reach_the_function(kind: Any) -> None:
    torch.testing.assert_close(measured(kind(data_range=255), 255 * images()), FUNCTIONS[kind](images()))
    period = (1, 2)
    assert measured(CheckerboardEnergy(period), images()) == checkerboard_energy(images(), period)
    assert measured(CheckerboardEnergy(period), images()) != checkerboard_energy(images())


def rank_computes(rank: int, folder: str) -> None:
    meet = {"init_method": f"file://{folder}/rendezvous", "rank": rank, "world_size": 2}
    dist.init_process_group("gloo", timeout=timedelta(minutes=1), **meet)
    shares = images().split([3, 1])
    results = {kind.__name__: measured(kind(), *shares[rank].split(1)) for kind in FUNCTIONS}
    results["none"] = measured(EdgeJaggedness(reduction="none"), *shares[rank].split(1))
    torch.save(results, f"{folder}/{rank}.pt")
    dist.barrier()  # who leaves while the other still talks to it may be aborted
    dist.destroy_process_group()


def test_two_processes_get_exactly_what_one_gets(in_two_ranks: Any) -> None:
    folder = in_two_ranks(rank_computes)
    for kind in FUNCTIONS:
        alone = measured(kind(), *images().split(1))
        assert [torch.load(folder / f"{rank}.pt")[kind.__name__].item() for rank in (0, 1)] == [alone.item()] * 2
    each = measured(EdgeJaggedness(reduction="none"), *images().split(1))
    assert all(torch.equal(torch.load(folder / f"{rank}.pt")["none"], each) for rank in (0, 1))


def test_values_of_each_image_are_the_functions_however_they_come_in(kind: Any) -> None:
    expected = FUNCTIONS[kind](images(), reduction="none")
    metric = kind(reduction="none")
    assert torch.equal(torch.cat([metric(batch) for batch in images().split(2)]), expected)
    assert torch.equal(metric.compute(), expected)
    for twin in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric), metric.clone()):
        assert torch.equal(twin.compute(), expected)
    metric.reset()
    with pytest.warns(UserWarning, match="was called before the ``update`` method"):
        assert metric.compute().shape == (0,)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_states_of_two_metrics_merge_as_if_one_had_seen_all(reduction: str) -> None:
    first, second = CheckerboardEnergy(reduction=reduction), CheckerboardEnergy(reduction=reduction)
    first.update(images()[2:])
    second.update(images()[:2])
    first.merge_state(second.metric_state)  # what is merged comes before what was there
    torch.testing.assert_close(first.compute(), checkerboard_energy(images(), reduction=reduction), rtol=1e-6, atol=0)


def test_the_flags_that_others_read_are_said_of_each_class(kind: Any) -> None:
    assert (kind.is_differentiable, kind.higher_is_better, kind.full_state_update) == (False, False, False)
    assert (kind.plot_lower_bound, kind.plot_upper_bound) == (0.0, None if kind in UNBOUNDED else 1.0)


def test_a_collection_keeps_metrics_apart_that_read_the_same_on_the_first_batch() -> None:
    metrics = MetricCollection(
        {
            "two": CheckerboardEnergy(2),
            "four": CheckerboardEnergy(4),
            "rows": CheckerboardEnergy((2, 1)),
            "axes": AxisExcess(),
            "byte": AxisExcess(255),
            "steps": EdgeJaggedness(),
            "each": EdgeJaggedness(reduction="none"),
        }
    )
    metrics.update(torch.full((2, 1, 64, 64), 0.5))
    assert all(not value.any() for value in metrics.compute().values())
    metrics.update(images())
    expected = {
        "two": checkerboard_energy(images(), 2),
        "four": checkerboard_energy(images(), 4),
        "rows": checkerboard_energy(images(), (2, 1)),
        "axes": axis_excess(images()),
        "byte": axis_excess(images(), data_range=255),
        "steps": edge_jaggedness(images()),
    }
    computed = metrics.compute()
    assert torch.equal(computed.pop("each"), torch.cat([torch.zeros(2), edge_jaggedness(images(), reduction="none")]))
    for name, value in computed.items():
        torch.testing.assert_close(value, expected[name] * 4 / 6)


def test_forward_returns_the_batchs_own_score_and_accumulates(kind: Any) -> None:
    metric, function = kind(), FUNCTIONS[kind]
    for batch in images().split(2):
        torch.testing.assert_close(metric(batch), function(batch))
    torch.testing.assert_close(metric.compute(), function(images()))


def test_reset_forgets_and_copies_and_pickles_remember(kind: Any) -> None:
    metric = kind()
    before = measured(metric, images()[:2])
    later, whole = measured(kind(), images()[2:]), measured(kind(), images())
    twins = [pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric), metric.to("cpu").float().half()]
    for twin in twins:
        assert twin.compute() == before
        assert measured(twin, images()[2:]) == whole
    metric.reset()
    assert measured(metric, images()[2:]) == later


def test_states_are_sums_of_double_precision_where_there_is_any(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch.float64 in {state.dtype for state in kind().metric_state.values()}
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert torch.float64 not in {state.dtype for state in kind().metric_state.values()}


def test_without_images_it_warns_and_says_zero(kind: Any) -> None:
    with pytest.warns(UserWarning, match="was called before the ``update`` method"):
        assert kind().compute() == 0


def test_autocast_changes_nothing(kind: Any) -> None:
    metric = kind()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        metric.update(images()[:2])
    assert metric.compute() == measured(kind(), images()[:2])


def test_wrong_arguments_are_refused_at_construction(kind: Any) -> None:
    with pytest.raises(InputError, match="data_range must be a positive number"):
        kind(data_range=-1)
    with pytest.raises(InputError, match="reduction must be 'mean', or 'none' for a value per image, got 'sum'"):
        kind(reduction="sum")
    with pytest.raises(InputError, match="period must be a positive integer"):
        CheckerboardEnergy(period=0)


def test_wrong_images_are_refused_and_not_counted(kind: Any) -> None:
    metric = kind()
    for wrong in (torch.rand(3, 64, 64), torch.full((1, 1, 64, 64), torch.nan), "image"):
        with pytest.raises(InputError):
            metric.update(wrong)
    assert measured(metric, images()[:2]) == measured(kind(), images()[:2])


def test_plots_begin_at_zero_and_those_of_shares_end_at_one(kind: Any) -> None:
    metric = kind()
    values = [metric(batch) for batch in images().split(2)]
    figure, ax = metric.plot(values)
    low, high = ax.get_ylim()
    assert low == pytest.approx(0, abs=0.11 * high)
    assert kind in UNBOUNDED or high == pytest.approx(1, abs=0.11)
    pyplot.close(figure)


def test_without_torchmetrics_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.delitem(sys.modules, "artifactlab.integrations.torchmetrics")
    with pytest.raises(ImportError, match=r"pip install artifactlab\[torchmetrics\]"):
        importlib.import_module("artifactlab.integrations.torchmetrics")


def test_severity_takes_every_period_that_the_function_does() -> None:
    assert Severity(periods=[3, (16, 2)]).periods == [3, (16, 2)]  # which meet every 48 pixels
    with pytest.raises(InputError, match="periods must be lattice spacings"):
        Severity(periods=1)
