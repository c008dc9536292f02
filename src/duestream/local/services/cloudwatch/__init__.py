"""CloudWatch: the metrics of schedules, and those that users put themselves. No alarms, no dashboards, no logs."""

from duestream.local.services.cloudwatch.alarms import describe_alarms
from duestream.local.services.cloudwatch.listing import list_metrics
from duestream.local.services.cloudwatch.metric_data import get_metric_data
from duestream.local.services.cloudwatch.putting import put_metric_data
from duestream.local.services.cloudwatch.statistics import get_metric_statistics
from duestream.local.services.context import Operation

OPERATIONS: dict[str, Operation] = {
    "DescribeAlarms": describe_alarms,
    "GetMetricData": get_metric_data,
    "GetMetricStatistics": get_metric_statistics,
    "ListMetrics": list_metrics,
    "PutMetricData": put_metric_data,
}
