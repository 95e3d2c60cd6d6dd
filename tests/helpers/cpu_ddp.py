"""ultralytics' own multi-GPU route on CPUs: its launcher, its workers, DDP, with gloo where it has NCCL.

A module of its own, because the workers import it.
"""

from unittest import mock

import torch
import torch.distributed as dist
from torch import nn
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import LOCAL_RANK, RANK

RANKS = 2


class DDPOnCPU(nn.parallel.DistributedDataParallel):
    def __init__(self, module, device_ids, **kwargs):
        super().__init__(module, **kwargs)


class CPUDistributedTrainer(DetectionTrainer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.world_size = RANKS
        self.ddp = LOCAL_RANK == -1  # then it launches the workers

    def _setup_ddp(self):
        dist.init_process_group("gloo", rank=RANK, world_size=RANKS)

    def _setup_train(self):
        with mock.patch.object(nn.parallel, "DistributedDataParallel", DDPOnCPU):
            super()._setup_train()

    def validate(self):
        with mock.patch.object(dist.ReduceOp, "AVG", dist.ReduceOp.SUM):  # gloo has no AVG; it reduces val losses only
            return super().validate()

    def final_eval(self):
        """In place of their evaluation, which would ask for a GPU: leave what the rank has."""
        handle = self.handle
        state = {
            "weights": self.model.module.state_dict(),
            "targets": handle.targets,
            "updates": handle.updates,
            "method": repr(handle.method),
            "batch": self.train_loader.batch_size,
        }
        torch.save(state, self.save_dir / f"rank{RANK}.pt")
        dist.barrier()
