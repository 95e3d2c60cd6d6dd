# The fine-tuning of yolov3_mobilenetv2_wd_raccoon.py on blood cells. Data: normreg prepare-bccd RAW data/bccd
_base_ = "./yolov3_mobilenetv2_wd_raccoon.py"

data_root = "data/bccd/"
metainfo = dict(classes=("RBC", "WBC", "Platelets"))
model = dict(bbox_head=dict(num_classes=len(metainfo["classes"])))
pictures = dict(data_root=data_root, metainfo=metainfo)
train_dataloader = dict(dataset=pictures)
val_dataloader = dict(dataset=pictures)
test_dataloader = dict(dataset=pictures)
val_evaluator = dict(ann_file=data_root + "annotations/val.json")
test_evaluator = dict(ann_file=data_root + "annotations/test.json")
