"""Results that were measured several times, as dots and quartiles."""

import pytest

from research.spread_plot import plot_dots, plot_quartiles


def test_dots_and_quartiles(tmp_path):
    plot_dots({"mAP": {"wd": [0.1, 0.3], "wrs": [0.4]}, "F1": {"wd": [0.1, 0.3], "wrs": [0.4]}}, tmp_path / "dots.svg")
    text = (tmp_path / "dots.svg").read_text()
    assert all(word in text for word in ("mAP: each seed", "F1: each seed", "wd", "wrs"))
    plot_quartiles({"a": [1.0, 1.0], "b": [30.0, 40.0, 50.0]}, tmp_path / "time.svg", label="ms", reference=1.0)
    text = (tmp_path / "time.svg").read_text()
    assert all(word in text for word in (">40<", "ms; median and quartiles"))


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        plot_dots({"mAP": {"wd": [0.1]}}, tmp_path / "dots.jpg")
