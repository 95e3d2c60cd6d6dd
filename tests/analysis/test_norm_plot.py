import json

from normreg_plugins.analysis import norm_rows, plot_norms


def test_norms_are_read_from_among_other_scalars_and_drawn(tmp_path):
    scalars = tmp_path / "scalars.json"
    norms = [
        {"norms/min": 0.5, "norms/mean": 1.0, "norms/max": 2.0, "norms/zero_filters": 0.0, "step": step}
        for step in (20, 10)
    ]
    lines = [{"lr": 0.1, "loss": 3.0, "step": 10}, *norms, {"coco/bbox_mAP_50": 0.7, "step": 1}]
    scalars.write_text("\n".join(map(json.dumps, lines)) + "\n")
    rows = norm_rows(scalars)
    assert rows == norms[::-1]
    plot_norms(rows, tmp_path / "norms.png")
    assert (tmp_path / "norms.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".unfinished*"))


def test_a_run_without_norms_has_no_rows(tmp_path):
    (tmp_path / "scalars.json").write_text('{"loss": 1.0, "step": 1}\n')
    assert norm_rows(tmp_path / "scalars.json") == []
