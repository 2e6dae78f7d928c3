"""Each process that docs/clusters.md starts learns which worker it is."""

import os
import subprocess

import pytest
import yaml

from dsr_tf.training.cluster import Cluster
from tests.repository.documents import example

# In place of the trainer: says what it was given.
TRAINER = """#!/bin/sh
echo "$TF_CONFIG"
exit ${END:-0}
"""
# In place of SLURM, with two hosts: one process on each, one after the other.
SCONTROL = """#!/bin/sh
case "$1" in
  show) printf 'node-3\\nnode-7\\n' ;;
  requeue) echo "again: $2" ;;
esac
"""
SRUN = """#!/bin/sh
for SLURM_NODEID in 0 1; do
  export SLURM_NODEID
  "$@"
  code=$?
done
exit $code
"""


@pytest.fixture
def run(tmp_path):
    """Runs a script of bash; returns the lines that it has printed."""
    for name, text in {
        "dsr-train": TRAINER,
        "scontrol": SCONTROL,
        "srun": SRUN,
    }.items():
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)

    def run(script, **environment):
        done = subprocess.run(
            ["bash", "-c", script],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **environment},
            capture_output=True,
            text=True,
        )
        assert not done.stderr
        return done.stdout.splitlines()

    return run


@pytest.fixture
def worker(monkeypatch):
    """Index and number of workers that the trainer reads of a TF_CONFIG."""

    def worker(config):
        monkeypatch.setenv("TF_CONFIG", config)
        cluster = Cluster("multi_worker")
        return cluster.index, cluster.num_workers

    return worker


def test_two_hosts(run, worker):
    script = example("docs/clusters.md", "two hosts")
    [config] = run(script + 'echo "$TF_CONFIG"')
    assert worker(config) == (0, 2)


@pytest.mark.parametrize("end", ["0", "143"])
def test_slurm(end, run, worker):
    first, second, *more = run(
        example("docs/clusters.md", "slurm"),
        SLURM_JOB_ID="20042",
        SLURM_JOB_NODELIST="node-[3,7]",
        END=end,
    )
    assert worker(first) == (0, 2) and worker(second) == (1, 2)
    for config in (first, second):
        assert '"worker": ["node-3:10042","node-7:10042"]' in config
    # It queues again where it was stopped, and not at its end.
    assert more == (["again: 20042"] if end == "143" else [])


def test_kubernetes(run, worker):
    text = example("docs/clusters.md", "kubernetes")
    service, job = yaml.safe_load_all(text)
    name, spec = job["metadata"]["name"], job["spec"]
    pod = spec["template"]["spec"]
    # What names of pods are made of.
    assert service["spec"]["selector"] == {"job-name": name}
    assert service["metadata"]["name"] == pod["subdomain"]
    assert spec["completions"] == spec["parallelism"] == 2
    [container] = pod["containers"]
    [port] = [each["containerPort"] for each in container["ports"]]
    hosts = [f"{name}-{index}.{pod['subdomain']}" for index in range(2)]
    assert container["command"] == ["bash", "-c"]
    [script] = container["args"]
    for index in range(2):
        [config] = run(script, JOB_COMPLETION_INDEX=str(index))
        assert worker(config) == (index, 2)
        for host in hosts:
            assert f'"{host}:{port}"' in config
    volumes = {each["name"] for each in pod["volumes"]}
    assert {each["name"] for each in container["volumeMounts"]} == volumes


def test_what_an_operator_sets_is_read(worker):
    """Kubeflow's TFJob adds where it runs."""
    config = (
        '{"cluster": {"worker": ["a.b.svc:2222", "c.b.svc:2222"]}, '
        '"task": {"type": "worker", "index": 1}, "environment": "cloud"}'
    )
    assert worker(config) == (1, 2)
