"""Measuring what training did: detections, norms, plots."""
