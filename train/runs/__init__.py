"""The record of training runs: what was trained on what, with which source, and what came of it.

A run is a folder. `train.loop.run` writes its checkpoint and `metrics.jsonl` there; the record adds the rest:

    record.json         config, data hash, source (version, commit), machine, every session's times, how it ended
    metrics.jsonl    one line of numbers a report, also as TensorBoard events (train/metrics_log.py)
    losses.png       the curves, drawn when the run ends
    samples/         takes, as FLAC with a spectrogram beside each

Whoever calls the loop wraps it in a record:

    with RunRecord.begin(directory, config, data_hash, model="lm") as record:
        state = loop.run(..., directory=record.directory)
        record.finish(state)

`finish` may be left out: then the record ends at the step of the last line of metrics. Starting again in the same
folder goes on with the same record. `train_lm`, `train_refinement`, `train_style` and the codecs' `train_...` do all this
themselves; whoever calls them begins no second record in the folder. `find_runs` and `read_run` read records, and
folders of loops that wrote none.
"""

from magenta_rt_py.train.runs.record import RunRecord
from magenta_rt_py.train.runs.run import Run, find_runs, read_run, runs_folder

__all__ = ["Run", "RunRecord", "find_runs", "read_run", "runs_folder"]
