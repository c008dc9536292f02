"""The user's rule file in the bundle."""

from pathlib import Path

import pytest

from duestream.aws.app_module import load_app
from duestream.errors import SettingsError


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    load_app.cache_clear()
    return tmp_path


def test_the_app_is_found_by_module_and_name(bundle: Path) -> None:
    (bundle / "visits_rules.py").write_text("from duestream import App\nthe_app = App('visits')\n")
    assert load_app("visits_rules:the_app").name == "visits"


def test_a_module_without_the_app_says_so(bundle: Path) -> None:
    (bundle / "empty_rules.py").write_text("app = 17\n")
    with pytest.raises(SettingsError, match="module 'empty_rules' has no App called 'app'"):
        load_app("empty_rules:app")


def test_a_module_that_is_missing_says_so(bundle: Path) -> None:
    with pytest.raises(SettingsError, match="there is no module 'missing_rules' in the bundle"):
        load_app("missing_rules:app")


def test_what_the_module_itself_misses_goes_through(bundle: Path) -> None:
    (bundle / "needy_rules.py").write_text("import not_in_the_bundle\n")
    with pytest.raises(ModuleNotFoundError, match="not_in_the_bundle"):
        load_app("needy_rules:app")
