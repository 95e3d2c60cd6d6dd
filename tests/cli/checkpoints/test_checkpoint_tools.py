"""tools/checkpoints/convert_checkpoint.py and tools/checkpoints/fold_checkpoint.py on a real, small mmseg net."""

import hashlib
import sys
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

from normreg_plugins.cli.checkpoints import convert_checkpoint, fold_checkpoint
from normreg_plugins.layers import relative_change

pytestmark = pytest.mark.mm

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
ORDINARY = {"norm_cfg": {"type": "BN"}}
FOLDED = {
    "conv_cfg": {"type": "NormRegFoldedConv2d"},
    "norm_cfg": {"type": "NormRegFoldedNorm"},
}
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
        torch.save(
            {"state_dict": self.net.state_dict(), "meta": {"epoch": 3, "optimizer": None}},
            self.checkpoint,
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    torch.manual_seed(0)
    return Files(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """Call a tool's main as a command line would; the exit code."""

    def call(tool, *args) -> int:
        monkeypatch.setattr(sys, "argv", [tool.__name__, *map(str, args)])
        try:
            tool.main()
        except SystemExit as end:
            return end.code
        return 0

    return call


def loaded(parts: dict, path: Path) -> torch.nn.Module:
    net = build(parts)
    net.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
    return net


@pytest.mark.parametrize("to", OF_FAMILY)
def test_converted_and_folded_checkpoints_load_into_their_configs(
    files: Files, run, tmp_path: Path, capsys: pytest.CaptureFixture, to: str
) -> None:
    before = files.checkpoint.read_bytes()
    assert run(convert_checkpoint, files.config, files.checkpoint, files.out, "--to", to) == 0
    assert files.checkpoint.read_bytes() == before
    assert "relative change of the evaluated outputs" in capsys.readouterr().out
    converted = loaded(OF_FAMILY[to], files.out)
    if to != "ws":
        assert relative_change(files.net, converted, see_images) < 1e-5
    meta = torch.load(files.out, weights_only=True)["meta"]
    assert meta["epoch"] == 3
    assert meta["normreg"]["to"] == to

    config, folded = write_config(tmp_path, OF_FAMILY[to]), tmp_path / "folded.pth"
    assert run(fold_checkpoint, config, files.out, folded) == 0
    assert relative_change(converted, loaded(FOLDED, folded), see_images) < 1e-5
    assert sorted(p.name for p in tmp_path.glob("*.pth")) == ["folded.pth", "in.pth", "out.pth"]

    for tool, *more in ((convert_checkpoint, "--to", "wn"), (fold_checkpoint,)):
        arguments = (write_config(tmp_path, FOLDED), folded, tmp_path / "again.pth")
        assert run(tool, *arguments, *more) == 2
        assert "already" in capsys.readouterr().err


def test_converting_twice_is_detected_by_the_mark(
    files: Files, run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """With the config of the batch norm net, whose keys are the same, only the mark can tell."""
    assert run(convert_checkpoint, files.config, files.checkpoint, files.out, "--to", "wn") == 0
    again = tmp_path / "again.pth"
    assert run(convert_checkpoint, files.config, files.out, again, "--to", "wn") == 2
    assert "converted already" in capsys.readouterr().err
    assert not again.exists()


def test_gain_and_centre(files: Files, run, capsys: pytest.CaptureFixture) -> None:
    arguments = (files.config, files.checkpoint, files.out)
    assert run(convert_checkpoint, *arguments, "--to", "wn", "--gain") == 0
    gained = {"conv_cfg": {"type": "NormRegWNConv2d", "gain": True}, **ORDINARY}
    assert relative_change(files.net, loaded(gained, files.out), see_images) < 1e-5
    files.out.unlink()
    assert run(convert_checkpoint, *arguments, "--to", "pgd", "--centre", "--c", "1") == 0
    assert "each filter's mean was subtracted" in capsys.readouterr().out
    weight = torch.load(files.out, weights_only=True)["state_dict"]["backbone.stem.0.weight"]
    torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.ones(len(weight)))


def test_training_checkpoints(files: Files, run, capsys: pytest.CaptureFixture) -> None:
    """mmengine's hold its training log, objects that weights_only refuses."""
    content = torch.load(files.checkpoint, weights_only=True)
    log = {"log_scalars": {"train/loss": HistoryBuffer([1.0, 2.0], [1, 1])}}
    content["meta"]["written"] = HistoryBuffer([1.0], [1])
    torch.save({**content, "message_hub": log}, files.checkpoint)
    code = run(convert_checkpoint, files.config, files.checkpoint, files.out, "--to", "wn")
    if hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        assert code == 0
        result = torch.load(files.out, weights_only=True)
        assert set(result) == {"state_dict", "meta"}
        assert set(result["meta"]) == {"epoch", "optimizer", "normreg"}
    else:
        assert code == 2
        assert "torch >= 2.6" in capsys.readouterr().err


def test_bad_input_is_named_and_writes_nothing(
    files: Files, run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def refused(*args, match: str) -> None:
        assert run(*args) == 2
        assert match in capsys.readouterr().err

    good = (files.config, files.checkpoint, files.out)
    convert = convert_checkpoint
    refused(convert, "no.py", *good[1:], "--to", "wn", match="there is no config no.py")
    refused(convert, files.config, "no.pth", files.out, "--to", "wn", match="there is no file no.pth")
    refused(convert, *good, "--to", "xx", match="invalid choice: 'xx'")
    refused(convert, *good, "--to", "wn", "--keep", "nose", match="keep='nose'")
    refused(convert, *good[:2], files.checkpoint, "--to", "wn", match="in.pth exists")
    other = write_config(tmp_path, OF_FAMILY["pgd"])
    refused(fold_checkpoint, other, *good[1:], match="does not belong to the net")
    (tmp_path / "torn.pth").write_bytes(files.checkpoint.read_bytes()[:5000])
    refused(fold_checkpoint, files.config, tmp_path / "torn.pth", files.out, match="cannot be read")
    torch.save([1, 2], tmp_path / "list.pth")
    refused(fold_checkpoint, files.config, tmp_path / "list.pth", files.out, match="does not belong")
    group_norms = {"norm_cfg": {"type": "GN", "num_groups": 4}}
    torch.save({"state_dict": build(group_norms).state_dict()}, tmp_path / "gn.pth")
    config = write_config(tmp_path, group_norms)
    refused(fold_checkpoint, config, tmp_path / "gn.pth", files.out, match="GroupNorm takes")
    assert not files.out.exists()


@pytest.mark.slow
def test_as_a_command(files: Files, run_tool) -> None:
    result = run_tool("checkpoints/fold_checkpoint.py", files.config, files.checkpoint, files.out)
    assert result.returncode == 0, result.stderr
    assert relative_change(files.net, loaded(FOLDED, files.out), see_images) < 1e-5
