import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from duestream.cli.app_file import load_app
from duestream.errors import RuleError

WriteFile = Callable[..., Path]

GOOD = """\
from duestream import App, DeleteItem
app = App("shop")
app.table("Offers", partition_key="id").rule("EXPIRES_AT", DeleteItem())
"""


@pytest.fixture(autouse=True)
def _same_path_afterwards() -> Iterator[None]:
    before = [*sys.path]
    yield
    sys.path[:] = before


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    def write(text: str, name: str = "rules.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def _problem(named: object) -> RuleError:
    with pytest.raises(RuleError) as caught:
        load_app(str(named))
    return caught.value


def test_the_only_app_of_a_file_is_found(write_file: WriteFile) -> None:
    app = load_app(str(write_file(GOOD)))
    assert app.name == "shop"
    assert [rule.name for rule in app.rules] == ["expires_at-delete-item"]


def test_a_rule_names_the_line_of_its_declaration(write_file: WriteFile) -> None:
    path = write_file(GOOD)
    assert load_app(str(path)).rules[0].location == f"{path}:3"


def test_two_names_of_one_app_are_one_app(write_file: WriteFile) -> None:
    assert load_app(str(write_file(GOOD + "also = app\n"))).name == "shop"


def test_one_of_several_apps_is_named_after_a_colon(write_file: WriteFile) -> None:
    path = write_file('from duestream import App\none = App("one")\ntwo = App("two")\n')
    assert load_app(f"{path}:two").name == "two"
    assert _problem(path).remedy == f"Say which one: {path}:one, {path}:two."
    assert _problem(f"{path}:three").remedy == "Its apps are: one, two."


def test_a_file_without_an_app_is_answered_with_an_example(write_file: WriteFile) -> None:
    problem = _problem(write_file("x = 1\n"))
    assert "there is no App" in problem.problem
    assert 'app = App("shop")' in problem.remedy


def test_the_example_in_the_error_is_a_rule_file(write_file: WriteFile) -> None:
    remedy = _problem(write_file("x = 1\n")).remedy
    assert load_app(str(write_file(remedy.partition("\n\n")[2], "example.py"))).name == "shop"


def test_a_missing_file_is_named_and_a_near_one_proposed(write_file: WriteFile, tmp_path: Path) -> None:
    path = write_file(GOOD)
    assert f"there is no file {tmp_path / 'other.py'}" in str(_problem(tmp_path / "other.py"))
    assert f"Did you mean {path}?" in str(_problem(tmp_path / "rules"))


def test_a_folder_is_no_rule_file(write_file: WriteFile, tmp_path: Path) -> None:
    write_file(GOOD)
    assert "Name a file in it: rules.py." in str(_problem(tmp_path))


def test_a_syntax_error_is_told_with_its_line(write_file: WriteFile) -> None:
    path = write_file('from duestream import App\napp = App("shop"\n')
    problem = _problem(path)
    assert problem.location == f"{path}:2"
    assert "was never closed" in problem.problem


def test_a_missing_package_is_named_with_how_to_get_it(write_file: WriteFile) -> None:
    path = write_file("import os\nimport not_there_at_all.part\n")
    problem = _problem(path)
    assert problem.location == f"{path}:2"
    assert "pip install not_there_at_all)" in problem.remedy


def test_a_name_that_duestream_does_not_have_is_answered_with_those_it_has(write_file: WriteFile) -> None:
    problem = _problem(write_file("from duestream import Emial\n"))
    assert "Emial" in problem.problem
    assert "Email" in problem.remedy


def test_an_exception_is_told_with_the_line_that_raised_it(write_file: WriteFile) -> None:
    path = write_file("def broken():\n    return 1 / 0\n\nbroken()\n")
    problem = _problem(path)
    assert problem.location == f"{path}:2"
    assert problem.problem == "ZeroDivisionError: division by zero"


def test_an_exception_in_a_neighbour_is_told_with_the_neighbours_line(write_file: WriteFile) -> None:
    neighbour = write_file("\n\nraise ValueError('no')\n", "broken_neighbour.py")
    assert _problem(write_file("import broken_neighbour\n")).location == f"{neighbour}:3"


def test_a_bad_target_is_told_with_the_users_line_and_not_ours(write_file: WriteFile) -> None:
    path = write_file("from duestream import Email\nEmail(source='a@example.com', to=[], subject='s', text='t')\n")
    problem = _problem(path)
    assert problem.location == f"{path}:2"
    assert "names nobody" in problem.problem


def test_a_rules_own_mistake_is_passed_on(write_file: WriteFile) -> None:
    path = write_file(GOOD.replace("DeleteItem()", "DeleteItem(), ofset=3"))
    problem = _problem(path)
    assert problem.location == f"{path}:3"
    assert problem.remedy == "Did you mean offset?"


def test_a_file_that_ends_the_program_is_refused(write_file: WriteFile) -> None:
    assert "ends the program" in _problem(write_file("raise SystemExit(0)\n")).problem


def test_neighbours_can_be_imported_while_loading_and_later(write_file: WriteFile) -> None:
    write_file("name = 'from-a-neighbour'\n", "rules_neighbour_one.py")
    write_file("name = 'later'\n", "rules_neighbour_two.py")
    path = write_file(
        "from duestream import App\nimport rules_neighbour_one\napp = App(rules_neighbour_one.name)\n"
        "def later():\n    import rules_neighbour_two\n    return rules_neighbour_two.name\napp.later = later\n"
    )
    app = load_app(str(path))
    assert app.name == "from-a-neighbour"
    assert app.later() == "later"  # type: ignore[attr-defined]


def test_the_folder_shadows_nothing_once_the_file_is_loaded(write_file: WriteFile, tmp_path: Path) -> None:
    load_app(str(write_file(GOOD)))
    assert sys.path[-1] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1
