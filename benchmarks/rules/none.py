"""The same table without a rule: what planning costs is the difference."""

from duestream import App

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK", sort_key="SK")
