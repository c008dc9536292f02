"""Search expressions, also in the very form that Grafana sends them in."""

import pytest

from duestream.core.metric_search import Dimensions, SearchError, parse_search

METRICS: dict[str, tuple[str, str, Dimensions]] = {
    "all": ("AWS/Scheduler", "InvocationAttemptCount", ()),
    "clinic": ("AWS/Scheduler", "InvocationAttemptCount", (("ScheduleGroup", "clinic"),)),
    "quoted": ("AWS/Scheduler", "InvocationAttemptCount", (("ScheduleGroup", 'it\'s "one"'),)),
    "errors": ("AWS/Scheduler", "TargetErrorCount", (("ScheduleGroup", "clinic"),)),
    "late": ("duestream", "LatenessMilliseconds", (("ScheduleGroup", "clinic"),)),
    "own": ("Shop", "Orders", (("Country", "de"), ("ScheduleGroup", "shop"))),
}
ATTEMPTS = 'MetricName="InvocationAttemptCount"'


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (f'{{"AWS/Scheduler","ScheduleGroup"}} {ATTEMPTS}', "clinic quoted"),
        (f"{{AWS/Scheduler,ScheduleGroup}} {ATTEMPTS}", "clinic quoted"),
        (f'{{"AWS/Scheduler"}} {ATTEMPTS}', "all"),
        (f'{{"AWS/Scheduler","ScheduleGroup"}} {ATTEMPTS} "ScheduleGroup"="clinic"', "clinic"),
        (f'{{"AWS/Scheduler","ScheduleGroup"}} {ATTEMPTS} "ScheduleGroup"=("clinic" OR "none")', "clinic"),
        (f'{{"AWS/Scheduler","ScheduleGroup"}} {ATTEMPTS} "ScheduleGroup"="it\\\'s \\"one\\""', "quoted"),
        (f'Namespace="AWS/Scheduler" {ATTEMPTS}', "all clinic quoted"),
        (f'Namespace="AWS/Scheduler" {ATTEMPTS} "ScheduleGroup"', "clinic quoted"),
        ('{Shop,ScheduleGroup,Country} MetricName="Orders"', "own"),
        ("{Shop,Country}", ""),
        ("{duestream,ScheduleGroup}", "late"),
        ("lateness", "late"),
        ("ScheduleGroup=clin NOT MetricName=InvocationAttemptCount", "errors late"),
        ("TargetErrorCount OR Country", "errors own"),
        ("(error OR lateness) AND ScheduleGroup=clinic", "errors late"),
        ("NOT (Scheduler OR duestream)", "own"),
        ('"Scheduler"', ""),
    ],
)
def test_a_search_finds_the_metrics_that_are_meant(search: str, found: str) -> None:
    text = search.replace("'", "\\'") if "\\'" not in search else search
    parsed = parse_search(f"SEARCH('{text}', 'Sum', 300)")
    assert " ".join(name for name, metric in METRICS.items() if parsed.meant(*metric)) == found
    assert (parsed.statistic, parsed.period_seconds, parsed.without_empty) == ("Sum", 300, False)


def test_statistic_period_and_remove_empty_are_read() -> None:
    parsed = parse_search("REMOVE_EMPTY( SEARCH( '{duestream}' , 'p99' ) )")
    assert (parsed.statistic, parsed.period_seconds, parsed.without_empty) == ("p99", None, True)


@pytest.mark.parametrize(
    "text",
    [
        "m1 * 2",
        "SELECT AVG(x) FROM y",
        "SUM(SEARCH('{duestream}', 'Sum', 60))",
        "SEARCH('{duestream}')",
        "SEARCH('a OR', 'Sum', 60)",
        "SEARCH('(a', 'Sum', 60)",
        "SEARCH('a)', 'Sum', 60)",
        "SEARCH('a=', 'Sum', 60)",
        "SEARCH('=a', 'Sum', 60)",
        "SEARCH('a=(b c)', 'Sum', 60)",
        "SEARCH('\"a', 'Sum', 60)",
        "SEARCH('" + "(" * 100 + "a" + ")" * 100 + "', 'Sum', 60)",
        "SEARCH('" + "a " * 600 + "', 'Sum', 60)",
    ],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SearchError):
        parse_search(text)
