"""Scores on saved predictions, and their pictures: detection, segmentation, counting.

matplotlib and pycocotools are imported by the functions that need them. The extra `evaluation` installs both.
"""
