"""A tiny finetune as a program of its own that kills itself: BUNDLE SHARDS OUTPUT MOMENT NUMBER.

MOMENT "step" is before a step is taken, "save" somewhere in the writing of a step's checkpoint.
"""

import os
import random
import signal
import sys
import threading
import time

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.train import checkpoint_steps
from magenta_rt_py.train.finetune import fit as fitting
from magenta_rt_py.train.finetune.finetune import finetune
from tests.train.finetune.conftest import quick

STEPS, INTERVAL = 12, 3
LONGEST_SAVE_SECONDS = 0.2
CONFIG = quick(steps=STEPS, checkpoint_every_steps=INTERVAL, keep_checkpoints=2, eval_crops=2, rehearsal_share=0.5)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_before_step(number):
    batch_of = fitting.training_batch

    def batch_or_end(*arguments, step, **more):
        if step == number:
            kill()
        return batch_of(*arguments, step=step, **more)

    fitting.training_batch = batch_or_end


def kill_in_save(number):
    save = checkpoint_steps.ocp.CheckpointManager.save

    def save_and_end(manager, step, *arguments, **more):
        if step != number:
            return save(manager, step, *arguments, **more)
        threading.Timer(random.uniform(0.0, LONGEST_SAVE_SECONDS), kill).start()
        save(manager, step, *arguments, **more)
        return time.sleep(60.0)  # the timer ends it

    checkpoint_steps.ocp.CheckpointManager.save = save_and_end


if __name__ == "__main__":
    bundle, shards, output, moment, number = sys.argv[1:]
    {"step": kill_before_step, "save": kill_in_save}[moment](int(number))
    finetune(load_bundle(bundle), shards, output, CONFIG, rehearsal_data=shards)
