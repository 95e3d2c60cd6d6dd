"""The shell scripts, dry: what they would run, and what they refuse."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def launch(script, *args, **env):
    env = {"PATH": os.environ["PATH"], "DRY_RUN": "1", **env}
    return subprocess.run([str(TOOLS / script), *map(str, args)], env=env, capture_output=True, text=True, check=False)


def command(script, *args, **env):
    done = launch(script, *args, **env)
    assert done.returncode == 0, done.stderr
    return shlex.split(done.stdout)


def value(words, option):
    return words[words.index(option) + 1]


def test_every_script_is_valid_and_can_be_run():
    for script in TOOLS.rglob("*.sh"):
        assert os.access(script, os.X_OK), script
        subprocess.run(["bash", "-n", str(script)], check=True)


def test_dist_train_starts_one_rank_per_gpu_and_passes_the_flags_on():
    flags = ["--amp", "--cfg-options", "x=[1, 2]"]
    words = command("dist_train.sh", "a config.py", 4, *flags)
    assert words[:3] == ["python", "-m", "torch.distributed.run"]
    assert (value(words, "--nproc_per_node"), value(words, "--nnodes")) == ("4", "1")
    assert value(words, "--max_restarts") == "0"
    assert value(command("dist_train.sh", "c.py", 2, MAX_RESTARTS="3"), "--max_restarts") == "3"
    assert words[words.index(str(TOOLS / "train.py")) + 1 :] == ["a config.py", "--launcher", "pytorch", *flags]
    words = command("dist_train.sh", "c.py", 8, NNODES="3", NODE_RANK="2", MASTER_ADDR="first", PORT="12345")
    options = ("--nnodes", "--node_rank", "--master_addr", "--master_port")
    assert [value(words, option) for option in options] == ["3", "2", "first", "12345"]


def test_slurm_train_starts_one_launcher_per_machine():
    words = command("slurm_train.sh", "gpu", "job", "c.py", "work dir", "--amp", GPUS="16", SRUN_ARGS="--qos x")
    assert (words[0], value(words, "--qos")) == ("srun", "x")
    options = ("--nodes", "--ntasks-per-node", "--gres", "--cpus-per-task")
    assert [value(words, option) for option in options] == ["2", "1", "gpu:8", "40"]
    assert words[words.index(str(TOOLS / "dist_train.sh")) + 1 :] == ["c.py", "8", "--work-dir", "work dir", "--amp"]


def test_the_launchers_of_tests_take_a_checkpoint():
    words = command("dist_test.sh", "c.py", "best.pth", 2, "--out", "p.pkl", PYTHON="python3")
    assert words[0] == "python3"
    flags = ["c.py", "best.pth", "--launcher", "pytorch", "--out", "p.pkl"]
    assert words[words.index(str(TOOLS / "test.py")) + 1 :] == flags
    words = command("slurm_test.sh", "gpu", "job", "c.py", "best.pth", "--out", "p.pkl", GPUS="2")
    assert (value(words, "--job-name"), value(words, "--nodes"), value(words, "--gres")) == ("job", "1", "gpu:2")
    assert words[words.index(str(TOOLS / "dist_test.sh")) + 1 :] == ["c.py", "best.pth", "2", "--out", "p.pkl"]


def test_slurm_train_tells_each_machine_its_place(tmp_path):
    """The part after srun, as it would run on the second of two machines."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$1 $2 $3" = "show hostnames n[1-2]" ] && echo n1 && echo n2\n')
    scontrol.chmod(0o755)
    words = command("slurm_train.sh", "gpu", "job", "c.py", "work", GPUS="4", GPUS_PER_NODE="2")
    slurm = {"SLURM_NNODES": "2", "SLURM_NODEID": "1", "SLURM_JOB_NODELIST": "n[1-2]"}
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DRY_RUN": "1", **slurm}
    done = subprocess.run(words[words.index("bash") :], env=env, capture_output=True, text=True, check=True)
    words = shlex.split(done.stdout)
    options = ("--nnodes", "--node_rank", "--master_addr", "--nproc_per_node")
    assert [value(words, option) for option in options] == ["2", "1", "n1", "2"]


@pytest.mark.parametrize(
    ("script", "args", "env"),
    [
        ("dist_train.sh", ("c.py",), {}),
        ("dist_train.sh", ("c.py", 0), {}),
        ("dist_test.sh", ("c.py", "best.pth"), {}),
        ("slurm_train.sh", ("gpu", "job", "c.py"), {}),
        ("slurm_test.sh", ("gpu", "job", "c.py"), {}),
        ("slurm_train.sh", ("gpu", "job", "c.py", "work"), {"GPUS": "12"}),
        ("dist_train.sh", ("c.py", 2), {"DRY_RUN": ""}),
    ],
)
def test_too_few_arguments_an_uneven_split_or_a_missing_config_are_refused(script, args, env):
    done = launch(script, *args, **env)
    assert done.returncode == 2
    assert done.stdout == ""
    said = ("usage: ", "GPUS=12 is no multiple", "there is no config c.py")
    assert sum(each in done.stderr for each in said) == 1
