"""What performances leave behind is freed, once the server has begun, and not before."""

import gc
import platform
import subprocess
import sys

from magenta_rt_py.serve import spent_memory

PROGRAM = """
import gc, resource, threading
from magenta_rt_py.serve import spent_memory

class Ring:
    def __init__(self):
        self.me, self.sound = self, [bytes(7000) for _ in range(3000)]

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20

gc.disable()  # or the collector may come by itself
assert spent_memory.give_back() is False
spent_memory.freeze()
before = resident()
threads = [threading.Thread(target=Ring) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
full = resident()
assert spent_memory.give_back() is True
print(full - before, resident() - before)
"""


SCATTERED = """
import platform, resource, sys, threading
from magenta_rt_py.serve import spent_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20

if sys.argv[1] == "few":
    assert spent_memory.keep_few_pools() is (platform.libc_ver()[0] == "glibc")
kept, before = [], resident()

def play():
    pieces = [(b"x" * 7_000, kept.append(bytes(600))) for _ in range(3000)]  # what is kept lies between them

barrier = threading.Barrier(8)

def live(number):
    barrier.wait()  # all are there at once, and glibc would give each a pool of its own
    for turn in range(8):
        if turn == number:
            play()
        barrier.wait()

threads = [threading.Thread(target=live, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(resident() - before)
"""


def test_threads_use_what_other_threads_have_freed():
    def grown(how):
        done = subprocess.run([sys.executable, "-c", SCATTERED, how], capture_output=True, text=True, check=True)
        return float(done.stdout)

    few, many = grown("few"), grown("many")
    assert few < 0.6 * many or platform.libc_ver()[0] != "glibc"  # other C libraries have no such settings


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(spent_memory, "_library", lambda: None)
    assert spent_memory.keep_few_pools() is False


def test_sound_that_holds_itself_is_given_back_to_the_system():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    full, rest = map(float, done.stdout.split())
    assert full > 100.0  # megabytes
    assert rest < 0.2 * full


def test_before_the_server_has_begun_nothing_is_held_up(monkeypatch):
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 0)
    monkeypatch.setattr(gc, "collect", lambda: 1 / 0)
    assert spent_memory.give_back() is False
