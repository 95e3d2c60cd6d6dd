# The WRS paper's own split of COCO 2014: 117,263 training and 5,000 validation images. normreg prepare-coco2014
# makes it. Its file names contain the folder (train2014/..., val2014/...). A config takes all six settings:
#   data_root, train_dataloader, val_dataloader, test_dataloader, val_evaluator, test_evaluator = _base_.coco2014
root = "data/coco2014/"
train = dict(dataset=dict(data_root=root, ann_file="annotations/instances_trainvalno5k.json", data_prefix=dict(img="")))
val = dict(dataset=dict(data_root=root, ann_file="annotations/instances_5k.json", data_prefix=dict(img="")))
scores = [
    dict(type="CocoMetric", ann_file=root + "annotations/instances_5k.json", metric="bbox"),
    dict(type="NormRegPrecisionRecallMetric", ann_file=root + "annotations/instances_5k.json"),
]
coco2014 = (root, train, val, val, scores, scores)
del root, train, val, scores
