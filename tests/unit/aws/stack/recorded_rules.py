"""The rule file of the functions whose calls are recorded."""

from tests.unit.aws.stack.apps import everything

app = everything()
