"""Times several calls in turn in one process."""

import statistics
import time


def median_seconds(calls, rounds):
    """Median seconds of each call, by name; all in turn each round."""
    for call in calls.values():
        call()
        call()
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}
