"""PartiQL statements, held against answers recorded from AWS."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.conformance.recorded import SOURCES, Golden, Recorded, create, index

NOT_WELL_FORMED = "Statement wasn't well formed, can't be processed: "
LEFTOVER = f"{NOT_WELL_FORMED}Unexpected token after expression"
TERM = f"{NOT_WELL_FORMED}Unexpected term"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
DIGITS = "Attempting to store more than 38 significant digits in a Number"
UNCONVERTIBLE = "The parameter cannot be converted to a numeric value"
NESTING = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
INVALID = "One or more parameter values were invalid: "
OPERAND = "Incorrect operand type for operator or function; operator or function: "
INCOMPLETE = "Where clause does not contain a mandatory equality on all key attributes"
OVERLAPPING = "Overlapping conditions with range keys are not supported in where clause"
KEY_TYPE = "Key attribute's data type should match its data type in table's schema: Key "
MULTI = "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
NOT_PROJECTED = f"{INVALID}Secondary index gsi-inc does not project one or more filter attributes: "
CONDITION = "The conditional request failed"
ITEM = "pq-fn-msg"


def refused(
    source: str, statement: str, message: str, *parameters: Any, error: str = "ValidationException", **more: Any
) -> Golden:
    request = {"Statement": statement, **({"Parameters": list(parameters)} if parameters else {}), **more}
    return Golden(source, "ExecuteStatement", request, {"Message": message}, error)


def answered(source: str, statement: str, items: list[Any], *parameters: Any, **more: Any) -> Golden:
    request = {"Statement": statement, **({"Parameters": list(parameters)} if parameters else {}), **more}
    return Golden(source, "ExecuteStatement", request, {"Items": items})


def at(statement: str, token: str, start: int = 0, length: int | None = None) -> str:
    return f"1:{statement.index(token, start) + 1}:{len(token) if length is None else length}"


def keys(*values: str) -> list[Any]:
    return [{"sk": {"S": value}} for value in values]


def deep(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = {"M": {"n": leaf}}
    return leaf


def function_goldens() -> Iterator[Golden]:
    where = f"SELECT * FROM \"S_T\" WHERE pk = '{ITEM}' AND "
    path = "Operator or function requires a document path; operator or function: attribute_exists"
    number = "Incorrect number of operands for operator or function; operator or function: attribute_exists, "
    source = "parity-functions"
    yield refused(source, where + "attribute_exists('ss')", path)
    yield refused(source, where + "attribute_exists(?)", path, {"S": "ss"})
    yield refused(source, where + "attribute_exists()", number + "number of operands: 0")
    yield refused(source, where + "attribute_exists(ss, ns)", number + "number of operands: 2")
    select = f"SELECT attribute_exists(ss) FROM \"S_T\" WHERE pk = '{ITEM}'"
    yield refused(source, select, f"Unexpected path component at {at(select, 'attribute_exists')}")
    exists = where + "EXISTS(ss)"
    yield refused(source, exists, f"Unrecognized function: exists at {at(exists, 'EXISTS')}")
    yield refused(source, where + "attribute_exists(m.inner)", f"{NOT_WELL_FORMED}Invalid path dot component")
    set_add = where + "set_add(ss, <<'x'>>) = ss"
    yield refused(source, set_add, f"Unrecognized function: set_add at {at(set_add, 'set_add')}")
    for name in ("set_add", "set_delete"):
        upper = name.upper()
        for assignment in (f"t = {name}(ss, <<'x'>>)", f"ss = {name}(<<'a'>>, <<'b'>>)"):
            update = f"UPDATE \"S_T\" SET {assignment} WHERE pk = '{ITEM}'"
            place = at(update, name)
            yield refused(source, update, f"The first argument to {upper} must equal the assignment value at {place}")
        for second in ("'x'", "['x']"):
            update = f"UPDATE \"S_T\" SET ss = {name}(ss, {second}) WHERE pk = '{ITEM}'"
            place = at(update, "ss", update.index(name))
            yield refused(source, update, f"The second argument to {upper} must be a value with type SET at {place}")
        for arguments in ("ss", "ss, <<'x'>>, <<'y'>>"):
            update = f"UPDATE \"S_T\" SET ss = {name}({arguments}) WHERE pk = '{ITEM}'"
            yield refused(source, update, f"{upper} must have exactly two arguments at {at(update, name)}")
    incorrect = "An operand in the update expression has an incorrect data type"
    for assignment, message in (
        ("ss = set_add(ss, <<1>>)", incorrect),
        ("s = set_add(s, <<'x'>>)", incorrect),
        ("ss = set_delete(ss, <<1>>)", incorrect),
        ("ss = set_add(ss, <<'x', 'x'>>)", f"{INVALID}Input collection [x, x] contains duplicates."),
        ("ss = set_add(ss, <<>>)", "Empty bags are not supported"),
        ("m.inner = set_add(m.inner, <<'y'>>)", f"{NOT_WELL_FORMED}Invalid path dot component"),
    ):
        yield refused(source, f"UPDATE \"S_T\" SET {assignment} WHERE pk = '{ITEM}'", message)
    insert = "INSERT INTO \"S_T\" VALUE {'pk': 'x', 'ss': set_add(<<'a'>>, <<'b'>>)}"
    yield refused(source, insert, f"Unsupported data type: set_add under key root at {at(insert, 'set_add')}")
    shown = [{"pk": {"S": ITEM}}]
    for condition, items in (
        ("attribute_exists(ss)", shown),
        ("ATTRIBUTE_EXISTS(ss)", shown),
        ("attribute_exists(nope)", []),
        ("NOT attribute_exists(nope)", shown),
        ("(attribute_exists(nope) OR attribute_exists(ss))", shown),
        ("attribute_exists(ss) = true", shown),
        ('attribute_exists("ss")', shown),
        ("attribute_exists(m.sub)", shown),
        ("attribute_exists(m.nope)", []),
        ("size(s) = 3", shown),
        ("size(s) = 4", []),
        ("attribute_type(ss, 'SS')", shown),
        ("attribute_type(ss, 'S')", []),
        ("nul IS NULL", shown),
        ("s IS NULL", []),
        ("s IS NOT NULL", shown),
        ("nul IS NOT NULL", []),
        ("flag IS BOOL", shown),
        ("s IS STRING", shown),
        ("s IS BOOL", []),
    ):
        yield answered(source, f"SELECT pk FROM \"S_T\" WHERE pk = '{ITEM}' AND {condition}", items)


def grammar_goldens() -> Iterator[Golden]:
    source = "parity-grammar"
    for statement in (
        'SELECT * FROM "N_T" WHERE pk = 1 foo',
        'SELECT * FROM "N_T" WHERE pk = 1 e5',
        "INSERT INTO \"N_T\" VALUE {'pk': 970001} foo",
        'UPDATE "N_T" SET a = 9 WHERE pk = 970002 foo',
        'DELETE FROM "N_T" WHERE pk = 970003 foo',
        'SELECT * FROM "N_T" WHERE pk = 1)',
        'DELETE FROM "N_T" WHERE pk = 970004 ORDER BY pk',
        'SELECT * FROM "N_T" ORDER BY pk WHERE pk = 1',
        "INSERT INTO \"S_T\" t VALUE {'pk': 'x'}",
        "FROM \"S_T\" SET c = 1 WHERE pk = 'pq-ff-msg'",
        "FROM \"S_T\" SET c = 1 WHERE pk = 'pq-ff-msg' SET d = 2",
    ):
        yield refused(source, statement, LEFTOVER)
    for literal in ("1e2147483648", "1e99999999999", "1.5e-2147483647", "1 # note", "1 /* note"):
        yield refused(source, f'SELECT * FROM "N_T" WHERE pk = {literal}', NOT_WELL_FORMED)
    for statement in (
        "SELECT * FROM \"S_T\" t WHERE pk = 'x'",
        "SELECT * FROM \"S_T\" AS t WHERE pk = 'x'",
        "UPDATE \"S_T\" t SET a = 3 WHERE pk = 'x'",
        "DELETE FROM \"S_T\" t WHERE pk = 'x'",
    ):
        yield refused(source, statement, "Aliasing is not supported")
    for statement, message in (
        ('SELECT * FROM "N_T" WHERE pk = 1e126', f"{OVERFLOW} under root"),
        ('SELECT * FROM "N_T" WHERE pk = 1e-131', f"{UNDERFLOW} under root"),
        (f'SELECT * FROM "N_T" WHERE pk = {"123456789" * 4}123', f"{DIGITS} under root"),
        ("INSERT INTO \"N_T\" VALUE {'pk': 1e126}", f"{OVERFLOW} under root"),
        ('UPDATE "N_T" SET a = 1e-131 WHERE pk = 970005', f"{UNDERFLOW} under root"),
        ("INSERT INTO \"N_T\" VALUE {'pk': 970006, 'm': {'x': 1e126}}", f"{OVERFLOW} under root.x"),
        ("INSERT INTO \"N_T\" VALUE {'pk': 970007, 'l': [1, 1e126]}", f"{OVERFLOW} under root[1]"),
        (
            "SELECT * FROM \"S_T\" WHERE pk = 'p1' AND",
            f"{NOT_WELL_FORMED}Missing right-hand side expression of infix operator",
        ),
        (
            "SELECT * FROM \"S_T\" WHERE pk = 'p1' OR",
            f"{NOT_WELL_FORMED}Missing right-hand side expression of infix operator",
        ),
        ('SELECT * FROM "S_T" WHERE ORDER BY pk', f"{NOT_WELL_FORMED}Unexpected keyword"),
        ("SELECT * FROM \"S_T\" WHERE pk = 'a' AND x IS FOO", f"{NOT_WELL_FORMED}Expected type name"),
        ('SELECT * FROM "S_T" WHERE IS NULL', f"{NOT_WELL_FORMED}Unexpected operator"),
        ('SELECT * FROM "S_T" WHERE pk = LIKE', f"{NOT_WELL_FORMED}Unexpected operator"),
        ("SELECT * FROM", TERM),
        ('FROM "S_T" SET c = 1', INCOMPLETE),
        ('FROM "S_T" REMOVE a', INCOMPLETE),
        ('FROM "S_T" WHERE a = 1 SET c = 1', INCOMPLETE),
    ):
        yield refused(source, statement, message)
    for end in ("WHERE", "WHERE;", "WHERE   ", "WHERE NOT", "WHERE ("):
        yield refused(source, f'SELECT * FROM "S_T" {end}', TERM)
    yield refused(source, 'UPDATE "S_T" SET a = 1 WHERE', TERM)
    yield refused(source, 'DELETE FROM "S_T" WHERE', TERM)
    yield refused(source, 'SELECT * FROM "S_T-never-created" WHERE', TERM)
    for name in ("INT4", "INT8", "DOUBLE PRECISION", "CHARACTER VARYING"):
        yield refused(source, f"x IS {name}", "Unsupported operation: IsType")
    for statement in ("DELETE FROM", "DELETE FROM   ", "DELETE FROM;", "DELETE FROM WHERE pk = 'a'"):
        yield refused(source, statement, f"{NOT_WELL_FORMED}Expected identifier for simple path")
    missing = "FROM \"S_T-never-created\" WHERE pk = 'x' SET c = 1"
    yield refused(source, missing, "Requested resource not found", error="ResourceNotFoundException")
    for literal in ("7.31e6", "7.31E6", "7.31e+6", "731e4", "73100000e-1"):
        yield answered(source, f'SELECT pk FROM "N_T" WHERE pk = {literal}', [{"pk": {"N": "7310000"}}])
    yield answered(source, 'SELECT pk FROM "N_T" WHERE pk = .73e1', [{"pk": {"N": "7.3"}}])
    for statement in (
        "SELECT pk FROM \"S_T\" WHERE pk = 'b' -- a note",
        "SELECT pk FROM \"S_T\" -- a note\nWHERE pk = 'b'",
        "-- a note\nSELECT pk FROM \"S_T\" WHERE pk = 'b'",
        "SELECT pk FROM \"S_T\" /* a note */ WHERE pk = 'b'",
        "SELECT pk FROM \"S_T\" WHERE pk = 'b' /* a note */",
    ):
        yield answered(source, statement, [{"pk": {"S": "b"}}])
    order = "SELECT sk FROM \"SN_T\" WHERE pk = 'o' ORDER BY sk "
    yield answered(source, order + "DESC", [{"sk": {"N": n}} for n in "321"])
    yield answered(source, order + "ASC", [{"sk": {"N": n}} for n in "123"])


def key_goldens() -> Iterator[Golden]:
    source = "floci-edges"
    select = "SELECT sk FROM C_T WHERE "
    for where in (
        "pk IN ['r','r']",
        "pk='r' OR pk='r'",
        "pk='r' AND (sk > '0' OR sk < '5')",
        "pk='r' AND (sk='1' OR flag='two')",
        "(pk='r' AND flag='one') OR (pk='r' AND flag='two')",
    ):
        yield refused(source, select + where, OVERLAPPING)
    for condition in ("x = '1'", "x <> '1'"):
        yield refused("parity-grammar", f"{select}pk = 'r' AND {condition} OR pk = 'r' AND sk = '2'", OVERLAPPING)
    for where in ("(sk='1' OR sk='2')", "sk IN ['1','2']", "(sk < '1' OR sk > '1' OR sk='1')", "attribute_exists(pk)"):
        yield answered(source, f"{select}pk='r' AND {where}", keys("1", "2"))
    for where in ("NOT sk='1'", "sk <> '1'", "sk > '0' AND sk <> '1'"):
        yield answered(source, f"{select}pk='r' AND {where}", keys("2"))
    yield answered(source, select + "pk='r' AND sk='1' AND sk > '0'", keys("1"))
    for left, expected in (
        ("NOT sk = '1'", ["2", "3"]),
        ("sk <> '1'", ["2", "3"]),
        ("NOT begins_with(sk, 'x')", ["1", "2", "3"]),
        ("NOT sk IN ['1', '3']", ["2"]),
        ("NOT sk > '5'", ["1", "2", "3"]),
        ("NOT (sk = '1')", ["2", "3"]),
    ):
        statement = f"{select}pk = 'v' AND {left} OR pk = 'v' AND sk = '2'"
        yield answered("parity-overlap", statement, keys(*expected))
    yield answered("parity-overlap", select + "pk = 'v' OR pk = 'v' AND NOT sk = '1'", keys("1", "2", "3"))
    yield refused(source, select + "pk = 1 OR pk = 'r'", KEY_TYPE + "pk")
    yield refused(source, select + "pk = 'r' AND sk IN ['1', 2]", KEY_TYPE + "sk")
    yield answered(source, select + "pk > 1", [])
    many = [", ".join(f"'v{n}'" for n in range(count)) for count in (50, 51, 26, 100, 101)]
    reads = "Too many decomposed read operations for a given query."
    operands = "The IN operator is provided with too many operands; number of operands: 101"
    yield refused(source, f"{select}pk IN [{many[1]}]", reads)
    yield refused(source, f"{select}pk='r' AND sk IN [{many[1]}]", reads)
    yield refused(source, f"{select}pk IN [{many[2]}] AND sk IN ['1','2']", reads)
    yield answered(source, f"{select}pk IN [{many[0]}] AND flag IN [{many[3]}]", [])
    yield answered(source, f"{select}pk IN [{many[1]}] OR flag='one'", keys("1"))
    yield refused(source, f"{select}pk='r' AND flag IN [{many[4]}]", operands)
    yield refused(source, f"UPDATE C_T SET t=1 WHERE pk='r' AND sk='1' AND flag IN [{many[4]}]", operands)
    multiple = "Multiple conditions on same key pk. Only single item Update/Insert/Delete are supported"
    yield refused(source, "UPDATE C_T SET a=1 WHERE pk='r' AND sk='1' AND pk='other'", multiple)
    yield refused(source, "DELETE FROM C_T WHERE pk='r' AND sk='1' AND pk='other'", multiple)
    yield refused("nubo-statements", 'DELETE FROM "S_T" WHERE "name" = \'alpha\'', INCOMPLETE)
    documented = "floci-documented"
    where_missing = "Must have WHERE clause in the statement when using ORDER BY clause."
    yield refused(documented, "SELECT sk FROM C_T ORDER BY sk", where_missing)
    not_key = "Attribute Total in ORDER BY clause must be part of the primary key"
    yield refused(documented, select + "pk = 'o' ORDER BY Total DESC", not_key)
    optional = "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."
    yield refused(documented, select + "pk > 'a' ORDER BY sk", optional)
    several = "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause."
    yield refused(documented, select + "pk IN ['o', 'p'] ORDER BY sk DESC", several)
    for order, expected in (
        ("pk = 'o' ORDER BY sk DESC", ["3", "2", "1"]),
        ("pk = 'o' ORDER BY sk", ["1", "2", "3"]),
        ("pk = 'o' ORDER BY pk ASC", ["3", "2", "1"]),
        ("pk IN ['o', 'p'] ORDER BY pk DESC, sk ASC", ["1", "2", "3", "1", "2", "3"]),
    ):
        yield answered(documented, select + order, keys(*expected))


def value_goldens() -> Iterator[Golden]:
    source = "floci-edges"
    update = "UPDATE C_T SET d = "
    where = " WHERE pk='r' AND sk='1'"
    too_deep = "Nesting Levels have exceeded supported limits under root"
    yield refused(source, update + "{'a':" * 32 + "1" + "}" * 32 + where, too_deep + ".a" * 32)
    yield refused(source, f"{update}{{'a':{'[' * 31}1{']' * 31}}}{where}", f"{too_deep}.a" + "[0]" * 31)
    statement = f"{update}[?]{where}"
    parameter = "Unsupported data type: Parameter under key "
    yield refused(source, statement, f"{parameter}root[0] at {at(statement, '?')}", {"S": "v"})
    statement = "INSERT INTO C_T VALUE {'pk':'x','sk':'1','m':{'k':?}}"
    yield refused(source, statement, f"{parameter}root.k at {at(statement, '?')}", {"S": "v"})
    index_range = "List index is not within the allowable range; index: "
    yield refused(source, f"SELECT l[-1] FROM C_T{where}", f"{index_range}[-1] at 1:11:1")
    yield refused(source, f"SELECT l[2147483648] FROM C_T{where}", f"{index_range}[2147483648] at 1:10:10")
    yield answered(source, f"SELECT l[-0] FROM C_T{where}", [{"l[0]": {"S": "a"}}])
    yield answered(source, f"SELECT m.k[0] FROM C_T{where}", [{"k[0]": {"S": "c"}}])
    failing = " WHERE pk='r' AND sk='1' AND nope='x'"
    yield refused(source, f"{update}'a' + 1{failing}", f"{OPERAND}+, operand type: S")
    yield refused(source, f"{update}n - null{failing}", f"{OPERAND}-, operand type: NULL")
    kind = f"SELECT sk FROM C_T{where} AND attribute_type(l, "
    yield refused(source, kind + "1)", f"{OPERAND}attribute_type, operand type: N")
    yield refused(source, kind + "true)", f"{OPERAND}attribute_type, operand type: BOOL")
    types = "Invalid attribute type name found; type: X, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}"
    yield refused("floci-documented", kind + "'X')", types)
    duplicates = f"{INVALID}Input collection [a, a] contains duplicates."
    yield refused(source, "UPDATE C_T SET WHERE", duplicates, {"SS": ["a", "a"]})
    yield refused(source, f"SELECT sk FROM C_T{where} AND s = <<'a','a'>>", duplicates)
    numbers = f"{INVALID}Input collection [2, 2.0] contains duplicates! under root"
    yield refused(source, f"UPDATE C_T SET n = set_add(n, <<2, 2.0>>){where}", numbers)
    insert = "INSERT INTO C_T VALUE {'pk':'x','sk':'1','x':?}"
    null = f"{INVALID}Null attribute value types must have the value of true"
    yield refused(source, insert, null, {"NULL": False})
    mixed = "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags"
    yield refused("floci-documented", "INSERT INTO C_T VALUE {'pk':'bag', 'sk':'1', 's':<<1, 'a'>>}", mixed)
    select = f"SELECT sk FROM C_T{where} AND "
    for condition, is_wanted in (
        ("attribute_exists(nope) = false", True),
        ("true = attribute_exists(n)", True),
        ("attribute_exists(n) <> 1", True),
        ("contains(nope, 'z') = false", True),
        ("(n BETWEEN 0 AND 5) = true", True),
        ("(n = 5 OR flag = 'x') = false", True),
        ("attribute_exists(nope) IN [true, false]", True),
        ("attribute_exists(n) = attribute_exists(flag)", True),
        ("attribute_exists(n) = yes", True),
        ("attribute_exists(n) = 1", False),
        ("NOT attribute_exists(n) = true", False),
        ("(attribute_exists(n) = true) = false", False),
        ("attribute_exists(n) = flag", False),
        ("n = - - 1", True),
        ("n > -/* c */-1", False),
        ("n BETWEEN - 2 AND +5 AND n IN [- 1, 1]", True),
        ("n != 400", True),
    ):
        yield answered(source, select + condition, keys("1") if is_wanted else [])
    yield refused(source, select + "attribute_exists(n) > false", f"{OPERAND}>, operand type: BOOL")
    for operator in ("<", "<=", ">", ">="):
        statement = f"SELECT pk FROM \"S_T\" WHERE pk = 'x' AND val {operator} ?"
        yield refused("nubo-statements", statement, f"{OPERAND}{operator}, operand type: BOOL", {"BOOL": True})
    yield refused(source, "UPDATE C_T SET newlist[0] = 'x' WHERE pk='r' AND sk='1'",
                  "The document path provided in the update expression is invalid for update")  # fmt: skip
    absent = "The provided expression refers to an attribute that does not exist in the item"
    yield refused("floci-documented", f"UPDATE C_T SET NoList = list_append(NoList, [1]){where}", absent)
    missing = "UPDATE C_T SET a = 1 WHERE pk='nobody' AND sk='1'"
    yield refused("nubo-statements", missing, CONDITION, error="ConditionalCheckFailedException")
    duplicate = "INSERT INTO C_T VALUE {'pk':'r', 'sk':'1'}"
    exists = "Duplicate primary key exists in table"
    yield refused("nubo-statements", duplicate, exists, error="DuplicateItemException")
    yield refused("moto", "SELECT * FROM C_T WHERE pk = ?", "Number of parameters in request and statement don't match.",
                  {"S": "a"}, {"S": "b"})  # fmt: skip
    yield refused("floci-documented", "EXISTS(SELECT * FROM C_T WHERE pk = 'r' AND sk = '1' AND a IS MISSING)",
                  "EXISTS can only be used in ExecuteTransaction write requests.")  # fmt: skip
    for returning in ("MODIFIED OLD", "ALL NEW", "MODIFIED NEW"):
        message = f"Invalid returning clause: RETURNING {returning} *. Only RETURNING ALL OLD * is allowed in DELETE statements."
        yield refused("nubo-statements", f"DELETE FROM \"S_T\" WHERE pk = 'x' RETURNING {returning} *", message)
    for statement in (
        "INSERT INTO \"S_T\" VALUE {'pk': 'pq-wr-insert'}",
        "UPDATE \"S_T\" SET a = 2 WHERE pk = 'b'",
        "DELETE FROM \"S_T\" WHERE pk = 'pq-wr-never-written'",
        "DELETE FROM \"S_T\" WHERE pk = 'pq-wr-never-written' AND a = 7",
        "DELETE FROM \"S_T\" WHERE pk = 'pq-wr-never-written' RETURNING ALL OLD *",
    ):
        yield answered("parity-writes", statement, [])


def parameter_goldens() -> Iterator[Golden]:
    source = "parity-numbers"
    positions = (
        "SELECT * FROM C_T WHERE pk = 'pq-pn' AND n = ?",
        "INSERT INTO C_T VALUE {'pk': 'pq-pn-insert', 'sk': 's', 'n': ?}",
        "UPDATE C_T SET n = ? WHERE pk = 'pq-pn' AND sk = 's'",
        "SELECT * FROM C_T WHERE pk = ?",
    )
    for statement in positions:
        for number in ("1e99999999999", "-1e99999999999", "1e-99999999999", "1e2147483648", "1e-2147483648"):
            yield refused(source, statement, f"{UNCONVERTIBLE}: {number}", {"N": number})
        yield refused(source, statement, UNDERFLOW, {"N": "1e2147483647"})
        yield refused(source, statement, UNCONVERTIBLE, {"N": ""})
    for value in (
        {"L": [{"N": "1"}, {"N": "1e99999999999"}]},
        {"M": {"x": {"N": "1e99999999999"}}},
        {"NS": ["1", "1e99999999999"]},
    ):
        yield refused(source, positions[0], f"{UNCONVERTIBLE}: 1e99999999999", value)
    pair = "SELECT * FROM C_T WHERE pk = 'pq-pn' AND x = ? AND y = ?"
    single = "SELECT * FROM C_T WHERE pk = 'pq-pn' AND x = ?"
    for depth in (40, 100):
        nested, bad = deep(depth, {"S": "leaf"}), {"N": "abc"}
        yield refused(source, pair, NESTING, nested, bad)
        yield refused(source, pair, f"{UNCONVERTIBLE}: abc", bad, nested)
        yield refused(source, single, NESTING, {"M": {"d": nested, "bad": bad}})
        yield refused(source, single, f"{UNCONVERTIBLE}: abc", {"M": {"bad": bad, "d": nested}})
        yield refused(source, single, NESTING, deep(depth, bad))
        yield refused(source, pair, NESTING, nested, {"N": "1e126"})


def index_goldens() -> Iterator[Golden]:
    source = "nubo-indexes"
    path = "A path may contain at most 2 components in the FROM clause"
    no_index = "The table does not have the specified index"
    for statement, message in (
        ("SELECT pk FROM \"I_T\".\"gsi-inc\" WHERE gsiPk2 = 'y' AND nonproj = 'np1'", f"{NOT_PROJECTED}[nonproj]"),
        (
            "SELECT pk FROM \"I_T\".\"lsi-keys\" WHERE pk = 'p' AND nonproj = 'np1'",
            NOT_PROJECTED.replace("gsi-inc", "lsi-keys") + "[nonproj]",
        ),
        ("SELECT pk FROM \"I_T\".\"gsi-inc\" WHERE gsiPk2 IN ['y', 'z'] AND nonproj = 'np1'", f"{NOT_PROJECTED}[nonproj]"),
        ("SELECT pk FROM \"I_T\".\"gsi-inc\" WHERE gsiPk2 = 'y' AND nonproj IS MISSING", f"{NOT_PROJECTED}[nonproj]"),
        ("SELECT pk FROM \"I_T\".\"gsi-inc\" WHERE gsiPk2 = 'y' AND NOT nonproj = 'np1'", f"{NOT_PROJECTED}[nonproj]"),
        (
            "SELECT nonproj FROM \"I_T\".\"gsi-inc\" WHERE gsiPk2 = 'y'",
            f"{INVALID}Global secondary index gsi-inc does not project [nonproj]",
        ),
        ('SELECT alternate, mymap FROM "I_T"."gsi-inc"',
         f"{INVALID}Global secondary index gsi-inc does not project [alternate, mymap]"),
        ("SELECT * FROM \"I_T\".\"no-such-index\" WHERE pk = 'p'", no_index),
        ("SELECT * FROM \"I_T\".\"I_T\" WHERE pk = 'p'", no_index),
        ("SELECT * FROM \"I_T\".\"gsi-all\".\"extra\" WHERE pk = 'p'", path),
        ("SELECT * FROM \"I_T\".\"\" WHERE pk = 'p'", "Path component cannot be an empty string"),
        ("SELECT * FROM \"\" WHERE pk = 'p'", "Path component cannot be an empty string"),
        (
            "INSERT INTO \"I_T\".\"gsi-all\" VALUE {'pk': 'w1', 'sk': 'w1'}",
            "FROM clause may only contain a single table name",
        ),
        ("UPDATE \"I_T\".\"gsi-all\" SET projattr = 'z' WHERE pk = 'p' AND sk = 's1'",
         "This operation is not supported on an index"),
        ("DELETE FROM \"I_T\".\"gsi-all\" WHERE pk = 'p' AND sk = 's1'", "This operation is not supported on an index"),
    ):  # fmt: skip
        yield refused(source, statement, message)
    consistent = "Strongly consistent read is not supported on Global Secondary Indexes"
    yield refused(source, 'SELECT * FROM "I_T"."gsi-all" WHERE gsiPk = \'x\'', consistent, ConsistentRead=True)
    for statement, items in (
        ("SELECT sk FROM \"I_T\".\"gsi-all\" WHERE gsiPk = 'x'", keys("s1", "s4")),
        ("SELECT sk FROM \"I_T\" WHERE pk = 'p'", keys("s1", "s2", "s3", "s4")),
        ("SELECT * FROM \"I_T\".\"lsi-keys\" WHERE pk = 'p' AND lsiSk2 = 'k1'",
         [{"pk": {"S": "p"}, "sk": {"S": "s1"}, "lsiSk2": {"S": "k1"}}]),
        ("SELECT nonproj FROM \"I_T\".\"lsi-keys\" WHERE pk = 'p'", [{"nonproj": {"S": f"np{n}"}} for n in "124"]),
        ("SELECT pk FROM \"I_T\".\"gsi-inc\" WHERE nonproj = 'np1'", []),
        ("SELECT pk FROM \"I_T\".\"lsi-keys\" WHERE nonproj = 'np1'", []),
        ("SELECT pk FROM \"I_T\".\"gsi-inc\" WHERE nonproj = 'np1' AND nonproj = 'np2'", []),
        ("SELECT sk FROM \"I_T\".\"gsi-inc\" WHERE gsiPk2 = 'y' AND projattr = 'proj1'", keys("s1")),
        ("SELECT sk FROM \"I_T\".\"gsi-inc\" WHERE gsiPk2 = 'y' AND projattr IS NOT MISSING", keys("s1", "s2", "s4")),
        ("SELECT sk FROM \"I_T\".\"gsi-inc\" WHERE NOT nonproj = 'np1'", keys("s1", "s2", "s4", "s5")),
        ("SELECT sk FROM \"I_T\".\"gsi-inc\" WHERE (gsiPk2 = 'y' AND nonproj = 'np1') OR (gsiPk2 = 'y2')", keys("s5")),
    ):  # fmt: skip
        yield answered(source, statement, items)
    edges = "floci-edges"
    select = 'SELECT pk FROM "I_T"."gsi-inc" WHERE '
    for where, names in (
        ("gsiPk2='y' AND NOT (nonproj='np1' OR projattr='x')", "nonproj"),
        ("gsiPk2='y' AND b='1' AND (a='2' OR projattr='3')", "a, b"),
        ("gsiPk2='y' AND (zz='1' OR aa='2' OR mm='3')", "zz, aa, mm"),
        ("(gsiPk2='y' OR gsiPk2='z') AND zz='1'", "zz"),
        ("(gsiPk2='b' AND u1='1') OR (gsiPk2='q' AND u2='1')", "u2"),
        ("(gsiPk2='q' AND u1='1') OR (gsiPk2='b' AND u2='1')", "u1"),
    ):
        yield refused(edges, select + where, f"{NOT_PROJECTED}[{names}]")
    for where in (
        "(gsiPk2='y' AND projattr='1') OR (gsiPk2='z' AND aa='1')",
        "gsiPk2 > 'a' AND zz='1'",
        "gsiPk2='y' AND (gsiPk2='z' OR zz='1')",
        "(gsiPk2='y' AND zz='1') OR aa='1'",
    ):
        yield answered(edges, select + where, [])
    yield refused(edges, select + "(gsiPk2='y' AND zz='1') OR (gsiPk2='y' AND aa='1')", OVERLAPPING)
    multi = "parity-multi"
    for where in ("WHERE h1 = 'a'", "WHERE h1 = 5", "WHERE id = 'i1'", ""):
        yield refused(multi, f'SELECT * FROM "M_T"."gsi" {where}', MULTI)
    yield refused(multi, "SELECT id FROM \"M_T\".\"gsi\" WHERE h1 = 'a' AND h2 = 'x' ORDER BY r1 DESC", MULTI)
    yield refused(multi, 'SELECT * FROM "M_T"."gsi" WHERE', TERM)
    yield refused(multi, 'SELECT * FROM "M_T"."gsi" WHERE h1 = 1e99999999999', NOT_WELL_FORMED)
    number = {"N": "1e99999999999"}
    yield refused(multi, 'SELECT * FROM "M_T"."gsi" WHERE h1 = ?', f"{UNCONVERTIBLE}: 1e99999999999", number)


GOLDENS = [
    *function_goldens(),
    *grammar_goldens(),
    *key_goldens(),
    *value_goldens(),
    *parameter_goldens(),
    *index_goldens(),
]


def text(**attributes: str) -> dict[str, Any]:
    return {name: {"S": value} for name, value in attributes.items()}


ITEMS: list[tuple[str, dict[str, Any]]] = [
    (
        "S_T",
        {
            **text(pk=ITEM, s="str"),
            "ss": {"SS": ["a", "b", "c"]},
            "ns": {"NS": ["1", "2", "3"]},
            "m": {"M": {"inner": {"SS": ["x"]}, "sub": {"S": "x"}}},
            "nul": {"NULL": True},
            "flag": {"BOOL": True},
        },
    ),
    ("S_T", text(pk="b")),
    *(("N_T", {"pk": {"N": number}}) for number in ("7310000", "7.3", "-7.3")),
    *(("SN_T", {"pk": {"S": "o"}, "sk": {"N": number}}) for number in "123"),
    (
        "C_T",
        {
            **text(pk="r", sk="1", flag="one"),
            "n": {"N": "1"},
            "yes": {"BOOL": True},
            "l": {"L": [{"S": "a"}, {"S": "b"}]},
            "m": {"M": {"k": {"L": [{"S": "c"}]}}},
        },
    ),
    ("C_T", text(pk="r", sk="2", flag="two")),
    *(("C_T", text(pk=partition, sk=sort)) for partition in "opv" for sort in "123"),
    ("I_T", text(pk="p", sk="s1", gsiPk="x", gsiPk2="y", lsiSk2="k1", projattr="proj1", nonproj="np1")),
    ("I_T", text(pk="p", sk="s2", gsiPk="z", gsiPk2="y", lsiSk2="k2", projattr="proj2", nonproj="np2")),
    ("I_T", text(pk="p", sk="s3", nonproj="np3")),
    ("I_T", text(pk="p", sk="s4", gsiPk="x", gsiPk2="y", lsiSk2="k4", projattr="proj4", nonproj="np4")),
    ("I_T", text(pk="q", sk="s5", gsiPk2="y2", projattr="proj5", nonproj="np5")),
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    recorded = Recorded(tmp_path_factory.mktemp("recorded"))
    for name, schema in (("S_T", "pk:S"), ("N_T", "pk:N"), ("SN_T", "pk:S sk:N"), ("C_T", "pk:S sk:S")):
        create(recorded, name, schema)
    create(
        recorded,
        "I_T",
        "pk:S sk:S",
        more="gsiPk:S gsiPk2:S lsiSk2:S",
        GlobalSecondaryIndexes=[
            index("gsi-all", "gsiPk", None, "ALL"),
            index("gsi-inc", "gsiPk2", None, "INCLUDE", "projattr"),
        ],
        LocalSecondaryIndexes=[index("lsi-keys", "pk", "lsiSk2", "KEYS_ONLY")],
    )
    create(
        recorded,
        "M_T",
        "id:S",
        more="h1:S h2:S r1:S",
        GlobalSecondaryIndexes=[index("gsi", "h1+h2", "r1", "ALL")],
    )
    for table, item in ITEMS:
        recorded.answer("PutItem", TableName=table, Item=item)
    yield recorded
    recorded.close()


@pytest.mark.parametrize("golden", GOLDENS, ids=str)
def test_a_statement_is_answered_as_aws_answered_it(recorded: Recorded, golden: Golden) -> None:
    assert golden.source in SOURCES
    recorded.check(golden)
