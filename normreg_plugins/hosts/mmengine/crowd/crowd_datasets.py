"""Prepared crowd data sets. `normreg_plugins.crowd.data.preparation` describes their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from normreg_plugins.crowd.data import records_in


class CrowdDataset(BaseDataset):
    """The images listed in an index such as `train.json`.

    Args:
        ann_file: the index, relative to `data_root`.
        data_root: the prepared folder.
        kwargs: those of mmengine's BaseDataset.
    """

    prepare: ClassVar[str] = "python tools/data/prepare_qnrf.py RAW"

    def load_data_list(self) -> list[dict[str, Any]]:
        index = Path(self.ann_file)
        if not index.is_file():
            state = "its preparation did not finish" if index.with_suffix("").is_dir() else "the file is missing"
            raise FileNotFoundError(f"{index}: {state}; run {self.prepare} {index.parent}")
        records = records_in(index)
        data = [self._item(index.parent, record) for record in records]
        self._refuse_missing(data, index)
        return data

    def _item(self, root: Path, record: dict[str, Any]) -> dict[str, Any]:
        picture = root / record["picture"]
        return {
            "name": record["name"],
            "img_path": str(picture),
            "people_path": str(picture.with_suffix(".npy")),
            "shorter_side": min(record["width"], record["height"]),
            "count": record["count"],
        }

    def _refuse_missing(self, data: list[dict[str, Any]], index: Path) -> None:
        paths = (item[key] for item in data for key in ("img_path", "people_path"))
        if gone := [path for path in paths if not Path(path).is_file()]:
            raise FileNotFoundError(
                f"{index} lists {len(gone)} files that are missing, e.g. {gone[0]}; remove "
                f"{index.parent} and run {self.prepare} {index.parent}"
            )
        if not data:
            raise ValueError(f"{index} lists no images")


@DATASETS.register_module()
class UCFQNRF(CrowdDataset):
    METAINFO: ClassVar[dict[str, str]] = {"dataset": "UCF-QNRF"}
    prepare = "python tools/data/prepare_qnrf.py RAW"


@DATASETS.register_module()
class ShanghaiTech(CrowdDataset):
    METAINFO: ClassVar[dict[str, str]] = {"dataset": "ShanghaiTech"}
    prepare = "python tools/data/prepare_shanghaitech.py RAW"


@DATASETS.register_module()
class MBM(CrowdDataset):
    METAINFO: ClassVar[dict[str, str]] = {"dataset": "MBM"}
    prepare = "python tools/data/prepare_mbm.py RAW"
