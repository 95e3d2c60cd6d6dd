"""WRS, AWS and PGD in the trainers of ultralytics (AGPL-3.0; imported here, nothing of it is copied).

from normreg_plugins.hosts.ultralytics import with_method

model = YOLO("yolov3.yaml")
model.train(trainer=with_method(model, WeightRescaling(interval=10)), data="coco.yaml", epochs=100)
"""

from normreg_plugins.hosts.methods import ResumeError
from normreg_plugins.hosts.ultralytics.monitor_trainer import MonitorTrainer, with_monitor
from normreg_plugins.hosts.ultralytics.trainer import MethodTrainer, take_method, with_method

__all__ = [
    "MethodTrainer",
    "MonitorTrainer",
    "ResumeError",
    "take_method",
    "with_method",
    "with_monitor",
]
