"""Commands that train and predict with ultralytics, and their libraries."""
