default_scope = "mmengine"
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=10),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(
        type="NormRegCheckpointHook",
        interval=5,
        max_keep_ckpts=3,
        save_best="count/MAE",
        rule="less",
        # After training, the best checkpoint is saved again with its weights and config only.
        # `normreg count` can read this small file safely.
        published_keys=["meta", "state_dict"],
    ),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    monitor=dict(type="NormRegMonitorHook", interval=50),
    visualization=dict(type="CrowdVisualizationHook", interval=50),
)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(type="Visualizer", vis_backends=vis_backends, name="visualizer")
log_processor = dict(type="LogProcessor", window_size=10, by_epoch=True)
log_level = "INFO"
load_from = None
resume = False
