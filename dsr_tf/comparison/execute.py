"""Runs the runs of a comparison, each in a process of its own."""

import concurrent.futures
import os
import subprocess
import sys
import time


def execute(runs, log_folder, num_parallel, report):
    """Run what is not finished yet; later runs wait for those they need.

    Args:
        runs: List of `PlannedRun`, each after those that it needs.
        log_folder: Folder for what the runs print.
        num_parallel: Runs at a time. More than one share the cores.
        report: Function that receives each `PlannedRun` as it ends, with
            its summary or None if it failed, and its seconds.

    Returns:
        List of the runs that failed.
    """
    os.makedirs(log_folder, exist_ok=True)
    environment = dict(os.environ)
    if num_parallel > 1:
        threads = str(max(1, (os.cpu_count() or 1) // num_parallel))
        environment.setdefault("TF_NUM_INTRAOP_THREADS", threads)
        environment.setdefault("TF_NUM_INTEROP_THREADS", threads)
    ended = {}

    def run(planned):
        start = time.perf_counter()
        if all(ended[folder].result() for folder in planned.needs):
            _train(planned, log_folder, environment)
        summary = planned.summary()
        report(planned, summary, time.perf_counter() - start)
        return summary is not None

    with concurrent.futures.ThreadPoolExecutor(num_parallel) as pool:
        for planned in runs:
            # Those that others need come first, so no one waits for ever.
            ended[planned.folder] = pool.submit(run, planned)
        return [
            planned for planned in runs if not ended[planned.folder].result()
        ]


def _train(planned, log_folder, environment):
    if planned.summary() is not None:
        return
    name = os.path.basename(planned.folder)
    with open(os.path.join(log_folder, f"{name}.txt"), "a") as log:
        subprocess.run(
            [sys.executable, "-m", "dsr_tf.train", *planned.arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
