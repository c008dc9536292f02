"""What a condition says of its keys: the reads that find every item for which it holds, and no item twice."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from duestream.core.attributes import key_bytes
from duestream.core.partiql import KeyPlan, KeySchema, bind_condition, parse_statement, plan_reads
from duestream.core.partiql.syntax import SelectSyntax, Term
from duestream.errors import ValidationException

SCHEMA = KeySchema("pk", "S", "sk", "N")
ITEMS = [{"pk": {"S": pk}, "sk": {"N": str(sk)}, "x": {"N": str(x)}} for pk in "abc" for sk in range(4) for x in (0, 1)]


def condition_of(text: str) -> Any:
    statement = parse_statement(f"SELECT * FROM t WHERE {text}")
    assert isinstance(statement, SelectSyntax)
    where: Term | None = statement.where
    assert where is not None
    return bind_condition(where, [])


def plan(text: str) -> KeyPlan | None:
    return plan_reads(condition_of(text), SCHEMA)


def found_by(planned: KeyPlan, item: dict[str, Any]) -> int:
    """How many of the reads find an item."""
    sort_key = key_bytes(item["sk"])
    count = 0
    for read in planned.reads:
        wanted = read.range
        above = sort_key > wanted.low or (wanted.low_included and sort_key == wanted.low)
        below = wanted.high is None or sort_key < wanted.high or (wanted.high_included and sort_key == wanted.high)
        count += read.partition == item["pk"] and above and below
    return count


def test_a_whole_key_is_one_read_and_known_as_such() -> None:
    planned = plan("(sk = 1) AND pk IN ['a']")
    assert planned is not None
    assert planned.single_key == {"pk": {"S": "a"}, "sk": {"N": "1"}}
    assert len(planned.reads) == 1
    assert not planned.needs_filter


def test_what_says_nothing_of_a_partition_is_a_scan() -> None:
    for text in ("sk = 1", "pk > 'a'", "NOT pk = 'a'", "pk = 'a' OR x = 1", "pk = 'a' AND pk = 'b'", "x = 1"):
        assert plan(text) is None, text


def test_ranges_that_leave_nothing_are_no_reads() -> None:
    planned = plan("pk = 'a' AND sk > 2 AND sk < 2")
    assert planned is not None
    assert planned.reads == ()


def test_many_alternatives_that_say_nothing_of_the_key_cost_nothing() -> None:
    wide = " AND ".join(f"(x = {number} OR x = {number + 1})" for number in range(40))
    planned = plan(f"pk = 'a' AND {wide}")
    assert planned is not None
    assert len(planned.reads) == 1


def test_alternatives_beyond_counting_are_a_scan() -> None:
    assert plan(" AND ".join(f"(sk = {number} OR pk = 'a')" for number in range(40))) is None


SORTS = ["sk = 1", "sk <> 2", "sk < 2", "1 <= sk", "sk BETWEEN 1 AND 2", "sk IN [0, 3]", "NOT sk = 1"]
OTHERS = ["x = 1", "NOT x = 0", "pk > 'a'", "x IN [1, 5]"]
atoms = st.sampled_from(["pk = 'a'", "'b' = pk", "pk IN ['a', 'c']", *SORTS, *OTHERS])
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + " AND ".join(parts) + ")"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + " OR ".join(parts) + ")"),
    ),
    max_leaves=6,
)


@settings(max_examples=400)
@given(conditions)
def test_the_reads_find_each_wanted_item_once(text: str) -> None:
    condition = condition_of(text)
    try:
        planned = plan_reads(condition, SCHEMA)
    except ValidationException as error:
        assert error.message.startswith("Overlapping")  # noqa: PT017 - other examples are planned
        return
    if planned is None:
        return
    for item in ITEMS:
        found = found_by(planned, item)
        assert found <= 1
        if condition.holds(item):
            assert found == 1
        elif not planned.needs_filter:
            assert found == 0
