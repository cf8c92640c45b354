"""Times several calls in turn in one process."""

import statistics
import time


def median_seconds(calls, rounds, clock=time.perf_counter):
    """Median seconds of each call, by name; all in turn each round.

    With `clock=time.process_time` they are seconds of all cores together,
    which other programs on the machine take little from.
    """
    for call in calls.values():
        call()
        call()
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            call()
            times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}
