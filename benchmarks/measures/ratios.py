"""Ratios of one run: what can be compared between machines."""

from collections.abc import Mapping, Sequence

from report import Table

from measures.floors import ECHO, INSERTS


def ratios(measured: Mapping[str, Sequence[Table]]) -> Table:
    """What was measured against the floors of the same run; only what there is."""
    table = Table("Ratios", ("of", "to", "connections", "ratio"))
    floors = {row[:2]: float(str(row[2])) for row in measured["floors"][0].rows}
    inserts = floors[INSERTS, None]
    for row in measured["writes"][0].rows if "writes" in measured else ():
        connections, rate = row[0], float(str(row[1]))
        table.rows.append(("PutItem/s", ECHO, connections, rate / floors[ECHO, connections]))
        table.rows.append(("PutItem/s", INSERTS, connections, rate / inserts))
    for deliveries, target, seen_by, _, _, max_ms, delivered, _ in (
        measured["lateness"][0].rows if "lateness" in measured else ()
    ):
        if "instant" in str(deliveries):
            rate = float(str(delivered)) / (float(str(max_ms)) / 1000)
            table.rows.append((f"{deliveries}: {target}/s as {seen_by} saw it", INSERTS, None, rate / inserts))
    return table
