"""The commands of this project, run as scripts: `python tools/train.py ...`, `python tools/data/prepare_qnrf.py ...`.

The commands that mm users expect are at the top. The others are in rooms:

    data/         make and prepare data sets
    checkpoints/  convert and fold checkpoints
    yolo/         train and predict with ultralytics
    crowd/        count people in pictures
    research/     comparisons, studies of the papers' claims, benchmarks
    preflight/    library: what a config needs and this machine lacks
    shared/       library: what several rooms use

A file is either a command, which has `main`, or a library. No file imports a command.

How a command finds the libraries: it imports them as `tools.ROOM.MODULE`. Python puts only the folder of the script on
`sys.path`, so each command first adds the folder that holds `tools/`, in one line:

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # parents[1] in a command at the top

This works in the repository, in a copy of `tools/` elsewhere (`.mim/tools` in a wheel), and from any working folder.
"""
