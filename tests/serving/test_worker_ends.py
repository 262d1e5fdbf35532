"""A process that ends after its answer takes no task of the next person with it."""

import sys
from queue import SimpleQueue

from pipeline.serving import jobs
from pipeline.serving.jobs import Task, Worker

_ENDING = f"""#!{sys.executable}
import json, sys, time
for line in sys.stdin:
    if json.loads(line)["task"] == "large":
        print(json.dumps({{"failed": "too large", "ends": True}}), flush=True)
        time.sleep(1)
        break
    print(json.dumps({{"done": 1}}), flush=True)
"""


def test_the_task_after_one_that_ended_the_process_is_done(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(_ENDING)
    program.chmod(0o700)
    monkeypatch.setattr(jobs.sys, "executable", str(program))
    worker, answers = Worker("ending"), SimpleQueue()
    try:
        for name in ("large", "good"):
            worker.submit(Task(name, {}, ended=answers.put))
        assert answers.get(timeout=30)["failed"] == "too large"
        assert answers.get(timeout=30) == {"done": 1}
    finally:
        worker.stop()
