"""tools/crowd/infer_crowd.py on pictures of all kinds, with the mini CSRNet."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.mm
def test_infer_counts_any_picture(tool, tmp_path):
    pytest.importorskip("mmengine")
    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS

    import normreg_plugins.hosts.mmengine.crowd  # noqa: F401

    cfg = Config.fromfile(ROOT / "configs/mini/csrnet_wd.py")
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
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "print.jpg")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(pixels[:1, :1]).save(tmp_path / "dot.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    pictures = [
        tmp_path / name for name in ("plain.png", "phone.tif", "broken.jpg", "print.jpg", "deep.png", "dot.png")
    ]
    out = tmp_path / "counted"
    done = tool("crowd/infer_crowd.py", tmp_path / "net.pth", *pictures, "--sides", 48, 64, "--out", out, "--save")
    assert done.returncode == 1
    assert "broken.jpg: cannot be read as a picture" in done.stderr
    assert "Traceback" not in done.stderr
    counts = json.loads((out / "predictions.json").read_text())["counts"]
    assert set(counts) == {"plain", "phone", "print", "deep", "dot"}
    assert counts["phone"] == pytest.approx(counts["plain"], rel=1e-5)  # seen upright, they are alike
    for name, number in counts.items():
        assert number > 0
        assert f"{name}." in done.stdout
        assert np.load(out / f"{name}.npy").sum() == pytest.approx(number, rel=1e-4)
        with Image.open(out / f"{name}_count.jpg") as drawn:
            assert drawn.width >= 48

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
