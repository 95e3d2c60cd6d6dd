"""`convert-checkpoint` and `fold-checkpoint` on a real, small mmseg net."""

import hashlib
from pathlib import Path

import pytest
import torch
from helpers.layer_cases import fill_norms_

pytest.importorskip("mmengine")
pytest.importorskip("mmseg")

import mmseg.models  # noqa: F401
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import MODELS, DefaultScope

from normreg_plugins.layers import relative_change

pytestmark = pytest.mark.mm

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
ORDINARY = {"norm_cfg": {"type": "BN"}}
FOLDED = {"conv_cfg": {"type": "NormRegFoldedConv2d"}, "norm_cfg": {"type": "NormRegFoldedNorm"}}
OF_FAMILY = {
    "wn": {"conv_cfg": {"type": "NormRegWNConv2d"}, **ORDINARY},
    "ws": {"conv_cfg": {"type": "NormRegWSConv2d"}, **ORDINARY},
    "pgd": {"norm_cfg": {"type": "NormRegScaleBias"}},
}


def config_with(parts: dict) -> dict:
    head = {"channels": 8, "num_classes": 3, **parts}
    return {
        "type": "EncoderDecoder",
        "backbone": {"type": "ResNetV1c", "depth": 18, "base_channels": 8, **parts},
        "decode_head": {"type": "ASPPHead", "in_channels": 64, "in_index": 3, **head},
        "auxiliary_head": {"type": "FCNHead", "in_channels": 32, "in_index": 2, **head},
    }


def build(parts: dict) -> torch.nn.Module:
    with DefaultScope.overwrite_default_scope("mmseg"):
        return MODELS.build(config_with(parts))


def write_config(folder: Path, parts: dict) -> Path:
    path = folder / f"config-{hashlib.md5(repr(parts).encode()).hexdigest()}.py"
    Config({"model": config_with(parts), "default_scope": "mmseg"}).dump(path)
    return path


def see_images(model: torch.nn.Module) -> list:
    return [model(IMAGES, mode="tensor"), model.auxiliary_head(model.extract_feat(IMAGES))]


class Files:
    def __init__(self, folder: Path) -> None:
        self.net = fill_norms_(build(ORDINARY))
        self.config = write_config(folder, ORDINARY)
        self.checkpoint, self.out = folder / "in.pth", folder / "out.pth"
        torch.save({"state_dict": self.net.state_dict(), "meta": {"epoch": 3, "optimizer": None}}, self.checkpoint)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    torch.manual_seed(0)
    return Files(tmp_path)


@pytest.fixture
def run(tool):
    """Run a command in this process; what it did."""
    return lambda name, *args: tool(f"checkpoints/{name}_checkpoint.py", *args)


def loaded(parts: dict, path: Path) -> torch.nn.Module:
    net = build(parts)
    net.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
    return net


@pytest.mark.parametrize("to", OF_FAMILY)
def test_converted_and_folded_checkpoints_load_into_their_configs(files: Files, run, tmp_path: Path, to: str) -> None:
    before = files.checkpoint.read_bytes()
    done = run("convert", files.config, files.checkpoint, files.out, "--to", to)
    assert done.returncode == 0, done.stderr
    assert files.checkpoint.read_bytes() == before
    assert "relative change of the evaluated outputs" in done.stdout
    converted = loaded(OF_FAMILY[to], files.out)
    if to != "ws":
        assert relative_change(files.net, converted, see_images) < 1e-5
    again = run("convert", files.config, files.out, tmp_path / "again.pth", "--to", "wn")
    assert ("already converted" in again.stderr) == (to != "pgd")  # whose other keys are refused before
    meta = torch.load(files.out, weights_only=True)["meta"]
    assert (meta["epoch"], meta["normreg"]["to"]) == (3, to)

    config, folded = write_config(tmp_path, OF_FAMILY[to]), tmp_path / "folded.pth"
    assert run("fold", config, files.out, folded).returncode == 0
    assert relative_change(converted, loaded(FOLDED, folded), see_images) < 1e-5
    assert sorted(p.name for p in tmp_path.glob("*.pth")) == ["folded.pth", "in.pth", "out.pth"]

    for name, *more in (("convert", "--to", "wn"), ("fold",)):
        again = run(name, write_config(tmp_path, FOLDED), folded, tmp_path / "again.pth", *more)
        assert (again.returncode, "already" in again.stderr) == (2, True)


def test_gain_and_centre(files: Files, run) -> None:
    arguments = (files.config, files.checkpoint, files.out)
    assert run("convert", *arguments, "--to", "wn", "--gain").returncode == 0
    gained = {"conv_cfg": {"type": "NormRegWNConv2d", "gain": True}, **ORDINARY}
    assert relative_change(files.net, loaded(gained, files.out), see_images) < 1e-5
    files.out.unlink()
    assert "each filter's mean was subtracted" in run("convert", *arguments, "--to", "pgd", "--centre", "--c", 1).stdout
    weight = torch.load(files.out, weights_only=True)["state_dict"]["backbone.stem.0.weight"]
    torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.ones(len(weight)))


def test_training_checkpoints(files: Files, run) -> None:
    """mmengine's hold its training log, objects that weights_only refuses."""
    content = torch.load(files.checkpoint, weights_only=True)
    log = {"log_scalars": {"train/loss": HistoryBuffer([1.0, 2.0], [1, 1])}}
    content["meta"]["written"] = HistoryBuffer([1.0], [1])
    torch.save({**content, "message_hub": log}, files.checkpoint)
    done = run("convert", files.config, files.checkpoint, files.out, "--to", "wn")
    if hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        assert done.returncode == 0
        result = torch.load(files.out, weights_only=True)
        assert set(result) == {"state_dict", "meta"}
        assert set(result["meta"]) == {"epoch", "optimizer", "normreg"}
    else:
        assert (done.returncode, "torch >= 2.6" in done.stderr) == (2, True)


def test_bad_input_is_named_and_writes_nothing(files: Files, run, tmp_path: Path) -> None:
    def refused(*args, match: str) -> None:
        done = run(*args)
        assert done.returncode == 2
        assert match in done.stderr

    good = (files.config, files.checkpoint, files.out)
    refused("convert", files.config, "no.pth", files.out, "--to", "wn", match="no.pth: there is no such file")
    refused("convert", *good, "--to", "xx", match="invalid choice: 'xx'")
    refused("convert", *good, "--to", "wn", "--keep", "nose", match="keep='nose'")
    refused("convert", *good[:2], files.checkpoint, "--to", "wn", match="in.pth exists")
    other = write_config(tmp_path, OF_FAMILY["pgd"])
    refused("fold", other, *good[1:], match="does not belong to the net")
    for content in (b"", b"\x80\x02c\xff\xff\nx\n.", files.checkpoint.read_bytes()[:5000]):
        (tmp_path / "torn.pth").write_bytes(content)
        refused("fold", files.config, tmp_path / "torn.pth", files.out, match="torn.pth cannot be read as weights only")
    torch.save([1, 2], tmp_path / "list.pth")
    refused("fold", files.config, tmp_path / "list.pth", files.out, match="does not belong")
    group_norms = {"norm_cfg": {"type": "GN", "num_groups": 4}}
    torch.save({"state_dict": build(group_norms).state_dict()}, tmp_path / "gn.pth")
    refused("fold", write_config(tmp_path, group_norms), tmp_path / "gn.pth", files.out, match="GroupNorm computes")
    assert not files.out.exists()
