"""How the replicas stand, for /metrics: read when asked, so that one that left leaves no number behind. Counts nothing
itself, and knows no request. Labels are URLs that the operator configured or DNS told, without credentials.
"""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.upstream.fleet import Fleet
from gateway.upstream.standing import STATES


class Gauges(Collector):
    """A collector of one fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterable[Metric]:
        """Called by the registry."""
        state = GaugeMetricFamily(
            "mneme_worker_state", "1 for what keeps requests from a replica, or ready", labels=("worker", "state")
        )
        running = GaugeMetricFamily(
            "mneme_worker_in_flight", "Requests that a replica is asked now", labels=("worker",)
        )
        failovers = CounterMetricFamily(
            "mneme_worker_failovers", "Requests that went to another replica instead", labels=("worker",)
        )
        for worker in self._fleet.workers:
            for each in STATES:
                state.add_metric((worker.shown, each), float(worker.state == each))
            running.add_metric((worker.shown,), worker.standing.running)
            failovers.add_metric((worker.shown,), worker.standing.failovers)
        return state, running, failovers

    def describe(self) -> Iterable[Metric]:
        """Called by the registry, which would ask for the numbers otherwise."""
        return ()
