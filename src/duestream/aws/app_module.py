"""The user's rule file as a module of the bundle."""

import importlib
from functools import cache

from duestream.core.app import App
from duestream.errors import SettingsError


@cache
def load_app(named: str) -> App:
    """The app that ``<module>:<attribute>`` names. What the module raises when it is imported goes through.

    Raises:
        SettingsError: there is no such module or no such app in it.
    """
    module_name, _, attribute = named.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise SettingsError(f"there is no module {module_name!r} in the bundle. Deploy again") from error
    app = getattr(module, attribute, None)
    if not isinstance(app, App):
        raise SettingsError(f"module {module_name!r} has no App called {attribute!r}. Deploy again")
    return app
