"""The same stack for AWS SAM: the bundle is a local file, which `sam deploy` uploads."""

import copy

from duestream.aws.stack.functions import BUNDLE_BUCKET, BUNDLE_KEY
from duestream.aws.stack.names import Resource
from duestream.aws.stack.template import Template

TRANSFORM = "AWS::Serverless-2016-10-31"


def sam_template(template: Template, bundle_path: str) -> Template:
    """A stack's template as one for SAM.

    Functions become ``AWS::Serverless::Function`` with the bundle as their ``CodeUri``, and the parameters of the
    bundle go. All else is as it was: SAM takes plain CloudFormation beside its own.

    Args:
        template: from `template`.
        bundle_path: of the bundle, as it is to be found from where the template lies.
    """
    changed = copy.deepcopy(template)
    for parameter in (BUNDLE_BUCKET, BUNDLE_KEY):
        changed["Parameters"].pop(parameter, None)
    if not changed["Parameters"]:
        del changed["Parameters"]
    resources = {name: _resource(one, bundle_path) for name, one in changed.pop("Resources").items()}
    head = {"AWSTemplateFormatVersion": changed.pop("AWSTemplateFormatVersion"), "Transform": TRANSFORM}
    outputs = changed.pop("Outputs")
    return {**head, **changed, "Resources": resources, "Outputs": outputs}


def _resource(resource: Resource, bundle_path: str) -> Resource:
    if resource["Type"] != "AWS::Lambda::Function":
        return resource
    properties = {name: value for name, value in resource["Properties"].items() if name != "Code"}
    return {**resource, "Type": "AWS::Serverless::Function", "Properties": {**properties, "CodeUri": bundle_path}}
