"""Scores on saved predictions, and their pictures: detection, segmentation, counting.

matplotlib and pycocotools are imported by the functions that need them. The extra `evaluation` installs both.
"""

from normreg_plugins.evaluation.bar_plot import plot_bars
from normreg_plugins.evaluation.confusion_plot import plot_confusion
from normreg_plugins.evaluation.contact_sheet import Labelled, plot_sheet, spread
from normreg_plugins.evaluation.count_errors import CountErrors, bands, count_errors, grid_error
from normreg_plugins.evaluation.count_files import load_counts, load_map, save_counts, save_map
from normreg_plugins.evaluation.count_plot import CountedImage, best, plot_counted_images, plot_counts, worst
from normreg_plugins.evaluation.density_overlay import overlay
from normreg_plugins.evaluation.detection_confusion import Pair, detection_confusion, mistakes, pairs_by_image
from normreg_plugins.evaluation.detection_curves import Curves, Matches, curves
from normreg_plugins.evaluation.detection_files import PredictionsError, from_mm, load_data_pickle, load_predictions
from normreg_plugins.evaluation.detection_map import (
    DetectionScores,
    category_ids,
    detection_matches,
    detection_scores,
    load_annotations,
)
from normreg_plugins.evaluation.detection_plot import (
    DetectedImage,
    plot_curves,
    plot_detected_images,
    plot_training,
)
from normreg_plugins.evaluation.mask_files import IGNORED, UNREADABLE, Labels, MaskError, read_mask, save_mask
from normreg_plugins.evaluation.run_log import logged_scores
from normreg_plugins.evaluation.segmentation_iou import Scores, confusion, scores
from normreg_plugins.evaluation.segmentation_plot import Row, plot_rows
from normreg_plugins.evaluation.spread_plot import plot_dots, plot_quartiles

__all__ = [
    "IGNORED",
    "UNREADABLE",
    "CountErrors",
    "CountedImage",
    "Curves",
    "DetectedImage",
    "DetectionScores",
    "Labelled",
    "Labels",
    "MaskError",
    "Matches",
    "Pair",
    "PredictionsError",
    "Row",
    "Scores",
    "bands",
    "best",
    "category_ids",
    "confusion",
    "count_errors",
    "curves",
    "detection_confusion",
    "detection_matches",
    "detection_scores",
    "from_mm",
    "grid_error",
    "load_annotations",
    "load_counts",
    "load_data_pickle",
    "load_map",
    "load_predictions",
    "logged_scores",
    "mistakes",
    "overlay",
    "pairs_by_image",
    "plot_bars",
    "plot_confusion",
    "plot_counted_images",
    "plot_counts",
    "plot_curves",
    "plot_detected_images",
    "plot_dots",
    "plot_quartiles",
    "plot_rows",
    "plot_sheet",
    "plot_training",
    "read_mask",
    "save_counts",
    "save_map",
    "save_mask",
    "scores",
    "spread",
    "worst",
]
