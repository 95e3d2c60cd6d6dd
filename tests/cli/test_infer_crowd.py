"""tools/crowd/infer_crowd.py on pictures of all kinds, with the mini CSRNet."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from normreg_plugins.crowd import count, load_counter

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.mm
@pytest.mark.skipif(
    not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"),
    reason="reading a training checkpoint weights only: torch >= 2.6",
)
def test_count_needs_no_mmengine_and_takes_folded_layers(tool, tmp_path):
    """A checkpoint that mmengine saved while it trained; and what `count` cannot build, folded."""
    pytest.importorskip("mmengine")
    from helpers.mini_crowd import make_prepared, mini_config
    from mmengine.runner import Runner

    data = make_prepared(tmp_path)
    cfg = mini_config("csrnet_aws", data, tmp_path / "work")
    cfg.default_hooks.checkpoint = {"type": "CheckpointHook", "interval": 1}
    cfg.model.backbone.width = 0.1
    Runner.from_cfg(cfg).train()
    saved, picture = tmp_path / "work/epoch_1.pth", next((data / "test").glob("*.jpg"))
    with pytest.raises(ValueError, match=r"not norm BN and conv NormRegWSConv2d\. Fold these layers first"):
        count(picture, saved)
    (tmp_path / "aws.py").write_text(cfg.pretty_text)
    folded = tool("checkpoints/fold_checkpoint.py", tmp_path / "aws.py", saved, tmp_path / "folded.pth")
    assert folded.returncode == 0, folded.stderr
    content = torch.load(tmp_path / "folded.pth", weights_only=True)
    cfg.model.backbone.conv_cfg = {"type": "NormRegFoldedConv2d"}
    cfg.model.backbone.norm_cfg = {"type": "NormRegFoldedNorm"}
    content["meta"]["cfg"] = cfg.pretty_text
    torch.save(content, tmp_path / "folded.pth")
    out = tmp_path / "counted"
    assert tool("crowd/infer_crowd.py", saved, picture, "--sides", 1, 999, "--out", out, "--save").returncode == 0
    (number,) = json.loads((out / "predictions.json").read_text())["counts"].values()
    assert count(picture, tmp_path / "folded.pth", (1, 999)).number == pytest.approx(number, rel=1e-3)

    index = tmp_path / "prepared/test.json"
    done = tool("eval_mae.py", saved, index, "--sides", 40, 999)
    assert done.returncode == 0, done.stderr
    few, all_pixels = done.stdout.splitlines()
    assert few.startswith("shorter side at most 40 (2 of 2 images reduced): MAE ")
    tested = tool(
        "test.py", tmp_path / "aws.py", saved, "--cfg-options", f"test_evaluator.out_dir={tmp_path / 'saved'}"
    )
    assert tested.returncode == 0, tested.stderr
    scored = tool("eval_mae.py", tmp_path / "saved", index).stdout.splitlines()[0]
    assert all_pixels.partition("): ")[2] == scored.partition("images: ")[2]  # as they are: the score of the test
    assert few.partition("): ")[2] != scored.partition("images: ")[2]


@pytest.mark.mm
def test_infer_counts_any_picture(tool, tmp_path):
    pytest.importorskip("mmengine")
    from mmengine.config import Config
    from mmengine.registry import MODELS

    import normreg_plugins.hosts.mmengine.crowd  # noqa: F401

    cfg = Config.fromfile(ROOT / "configs/mini/csrnet_wd.py")
    cfg.model.backbone.width = 0.1
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.nn.init.normal_(model.backbone.output.weight, std=1.0)
    checkpoint = {"state_dict": model.state_dict(), "meta": {"cfg": cfg.pretty_text}}
    torch.save(checkpoint, tmp_path / "net.pth")

    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "plain.png")
    Image.fromarray(np.rot90(pixels).copy()).save(tmp_path / "phone.tif", exif=exif)
    Image.fromarray(pixels[:1, :1]).save(tmp_path / "dot.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    pictures = [tmp_path / name for name in ("plain.png", "phone.tif", "broken.jpg", "dot.png")]
    out = tmp_path / "counted"
    done = tool("crowd/infer_crowd.py", tmp_path / "net.pth", *pictures, "--sides", 48, 64, "--out", out, "--save")
    assert done.returncode == 1
    assert "broken.jpg: cannot be read as a picture" in done.stderr
    counts = json.loads((out / "predictions.json").read_text())["counts"]
    assert set(counts) == {"plain", "phone", "dot"}
    assert counts["phone"] == pytest.approx(counts["plain"], rel=1e-5)  # seen upright, they are alike
    for name, number in counts.items():
        assert number > 0
        assert f"{name}." in done.stdout
        assert np.load(out / f"{name}.npy").sum() == pytest.approx(number, rel=1e-4)
        with Image.open(out / f"{name}_count.jpg") as drawn:
            assert drawn.width >= 48

    counter = load_counter(tmp_path / "net.pth")
    for name in ("plain.png", "phone.tif"):  # the same in one call
        number, density = count(tmp_path / name, counter, (48, 64))
        assert number == pytest.approx(counts[Path(name).stem], rel=1e-5)
        assert np.allclose(density, np.load(out / f"{Path(name).stem}.npy"), rtol=1e-4, atol=1e-6)
    assert count(tmp_path / "dot.png", tmp_path / "net.pth").density.shape == (64, 64)  # 512 pixels

    for arguments, message in (
        ((tmp_path / "none.pth", pictures[0]), "there is no such file"),
        ((pictures[0], pictures[0]), "cannot be read as weights only"),
        ((tmp_path / "net.pth", pictures[0], tmp_path / "plain.jpg"), "the same name"),
        ((tmp_path / "net.pth", pictures[0], "--sides", 9, 8), "--sides: bounds"),
    ):
        refused = tool("crowd/infer_crowd.py", *arguments)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
