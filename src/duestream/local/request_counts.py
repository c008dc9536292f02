"""How many requests were answered, how, and how fast; counted in memory since the start."""

from duestream.core.histogram import Histogram

#: In seconds. Long polls wait up to 20.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)
#: What does not name a service or operation that is served.
UNKNOWN = "(unknown)"


class RequestCounts:
    """Latencies by service, operation and class of status. Only names that are served become labels."""

    def __init__(self) -> None:
        #: (service, operation, hundreds of the status) to seconds until the answer was made.
        self.latencies: dict[tuple[str, str, int], Histogram] = {}

    def count(self, service: str, operation: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (service, operation, status // 100)
        try:
            self.latencies[key].observe(seconds)
        except KeyError:
            histogram = self.latencies[key] = Histogram(BOUNDS)
            histogram.observe(seconds)
