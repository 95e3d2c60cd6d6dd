"""Crowd data sets: MATLAB annotations, pictures, sizes, crops and flips, and the preparation of a raw data set."""

from normreg_plugins.crowd.data.crop_and_flip import crop, flip, visible_share
from normreg_plugins.crowd.data.images import (
    MEAN_COLOUR,
    ORIENTATION,
    UNREADABLE,
    Pixels,
    UnreadableImageError,
    read_rgb,
    stored_rotated,
)
from normreg_plugins.crowd.data.mat_files import AnnotationError, read_qnrf_points, read_shanghaitech_points
from normreg_plugins.crowd.data.mortal_reader import MortalReader, mortal
from normreg_plugins.crowd.data.points import Points, clean_points, neighbour_distances
from normreg_plugins.crowd.data.preparation import PreparationError, RawImage, Record, Settings, prepare, records_in
from normreg_plugins.crowd.data.resize import (
    LONGEST_SIDE,
    SHORTER_SIDE,
    bounded_size,
    checked_bounds,
    resize,
    resize_points,
)

__all__ = [
    "LONGEST_SIDE",
    "MEAN_COLOUR",
    "ORIENTATION",
    "SHORTER_SIDE",
    "UNREADABLE",
    "AnnotationError",
    "MortalReader",
    "Pixels",
    "Points",
    "PreparationError",
    "RawImage",
    "Record",
    "Settings",
    "UnreadableImageError",
    "bounded_size",
    "checked_bounds",
    "clean_points",
    "crop",
    "flip",
    "mortal",
    "neighbour_distances",
    "prepare",
    "read_qnrf_points",
    "read_rgb",
    "read_shanghaitech_points",
    "records_in",
    "resize",
    "resize_points",
    "stored_rotated",
    "visible_share",
]
