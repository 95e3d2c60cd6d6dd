"""Checkpoints that are written whole: whatever stops a run, its last good one is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from normreg_plugins.files import atomic_path
from normreg_plugins.hosts.mmengine.random_states import Continuation

BACKEND = "normreg_whole_files"


@register_backend(BACKEND)
class WholeFiles(LocalBackend):
    """The local disk, where a file is the old one or the new one and never half of it."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        with atomic_path(Path(filepath)) as unfinished:
            unfinished.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        self.put(obj.encode(encoding), filepath)


@HOOKS.register_module()
class NormRegCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, but a run is never without a whole checkpoint.

    mmengine's hook removes the outdated checkpoint before it writes the next. It writes over existing files in place. A
    run that is killed in between has none, or half of one. Here every file is written whole, then `last_checkpoint`
    names it, and only then the outdated one goes.

        default_hooks = dict(checkpoint=dict(type="NormRegCheckpointHook", interval=1))

    Args:
        random_states: save the random states of every rank too. A run that is killed and resumed then ends with the
            same weights, bit for bit, as one that was never stopped. It needs `randomness=dict(seed=...)`. Worker
            processes start anew in each epoch, with a seed of that epoch.
        kwargs: those of mmengine's CheckpointHook.
    """

    file_backend: Any

    def __init__(self, *args: Any, random_states: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._continuation = Continuation() if random_states else None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self._continuation is not None:
            self._continuation.save(checkpoint)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self._continuation is not None and runner._resume:
            self._continuation.load(checkpoint, runner)

    def before_train_epoch(self, runner: Runner) -> None:
        if self._continuation is not None:
            self._continuation.begin_epoch(runner)

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        _warn_of_half_an_epoch(runner)
        if self._continuation is not None:
            self._continuation.begin(runner)
        if self.file_client_args is None and isinstance(self.file_backend, LocalBackend):
            self.backend_args = {"backend": BACKEND}
            self.file_backend = WholeFiles()

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        outdated = self._outdated_by(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            WholeFiles().put_text(self.last_ckpt, Path(runner.work_dir) / "last_checkpoint")
            for each in outdated:
                self._remove(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(each)))

    def _outdated_by(self, runner: Runner, step: int) -> list[int]:
        """The steps whose checkpoints go once that of `step` is written. That one already records their removal."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return []
        full = len(self.keep_ckpt_ids) == self.max_keep_ckpts
        outdated = [self.keep_ckpt_ids.popleft()] if full else []
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
        return outdated

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        if not self.save_best:
            return
        if missing := [score for score in self.key_indicators if score is not None and score not in metrics]:
            runner.logger.warning(
                f"validation gave no {', '.join(missing)}, so no best checkpoint is chosen this time: mmdet leaves a "
                "score out if the model detects nothing"
            )
            return
        before = self._best()
        self._set_best(dict.fromkeys(before))  # so that mmengine does not remove it before the next one is there
        super()._save_best_checkpoint(runner, metrics)
        now = self._best()
        self._set_best({indicator: path or before.get(indicator) for indicator, path in now.items()})
        if is_main_process():
            for path in before.values():
                if path and path not in self._best().values():
                    self._remove(path)

    def _best(self) -> dict[str, str | None]:
        """The best checkpoint by each indicator; mmengine keeps one apart from several."""
        return {"": self.best_ckpt_path} if len(self.key_indicators) == 1 else dict(self.best_ckpt_path_dict)

    def _set_best(self, paths: dict[str, str | None]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths[""]
        else:
            self.best_ckpt_path_dict = paths

    def _remove(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # DeepSpeed saves folders
            self.file_backend.rmtree(path)


def _warn_of_half_an_epoch(runner: Runner) -> None:
    """mmengine's loop by epochs begins an epoch at its first batch, also when the checkpoint is from its middle."""
    loop = runner.train_loop
    if isinstance(loop, EpochBasedTrainLoop) and (done := loop.iter - loop.epoch * len(loop.dataloader)):
        runner.logger.warning(
            f"the checkpoint is from the middle of epoch {loop.epoch + 1}, {done} of {len(loop.dataloader)} iterations "
            "into it. mmengine begins that epoch again and counts these iterations twice. So this run makes more "
            "updates than one that was not stopped. Resume from the end of an epoch, or train by iterations."
        )
