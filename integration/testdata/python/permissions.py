"""What stories about permissions share: users with exactly one policy, and what AWS says to them."""
import json
import os

import boto3
from botocore.exceptions import ClientError

root = boto3.Session()
REGION = "us-east-1"
account = root.client("sts").get_caller_identity()["Account"]
admin = root.client("iam")
NO_IDENTITY = "no identity-based policy"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return allow(action, resource, **more) | {"Effect": "Deny"}


def when(operator, **keys):
    """A condition: when("StringEquals", aws_RequestedRegion="us-east-1"); the first _ of a key stands for the colon."""
    return {operator: {key.replace("_", ":", 1): value for key, value in keys.items()}}


class Someone:
    """A principal with sessions of boto3, and the ARN that messages name."""

    def __init__(self, arn, session):
        self.arn, self.session = arn, session

    def client(self, service, region=REGION, **more):
        return self.session.client(service, region_name=region, **more)


class User(Someone):
    """A user whose only permissions are those of one inline policy."""

    def __init__(self, name, *statements, **more):
        self.name = name
        made = admin.create_user(UserName=name, **more)["User"]
        key = admin.create_access_key(UserName=name)["AccessKey"]
        super().__init__(made["Arn"], boto3.Session(key["AccessKeyId"], key["SecretAccessKey"]))
        self.id, self.key = made["UserId"], key
        if statements:
            self.may(*statements)

    def may(self, *statements):
        admin.put_user_policy(UserName=self.name, PolicyName="only", PolicyDocument=document(*statements))
        return self


CODES = {"s3": "AccessDenied", "s3control": "AccessDenied", "iam": "AccessDenied", "sts": "AccessDenied", "ec2": "UnauthorizedOperation"}


LISTED = {"iam:ListUsers": "user/", "iam:ListRoles": "role/", "iam:ListGroups": "group/", "iam:ListInstanceProfiles": "instance-profile/"}


def shown(who, operation, action, resource):
    """How IAM names a resource in a denial: what is there by its name, what is to be made by its ARN."""
    if action in LISTED:
        return f"arn:aws:iam::{who.arn.split(':')[4]}:{LISTED[action]}"
    if resource is None:
        return "*"
    kind, _, name = resource.split(":", 5)[5].partition("/")
    name = name.split("/")[-1]
    if action == "iam:PassRole":
        return resource
    if kind == "policy":
        return f"policy {name if operation == 'CreatePolicy' else resource}"
    if operation in ("CreateUser", "CreateRole", "CreateGroup", "CreateInstanceProfile"):
        return resource
    return {"user": f"user {name}", "role": f"role {name}", "group": f"group {name}", "instance-profile": f"instance profile {name}"}.get(kind, resource)


def denied(who, action, resource, call, because=None, **parameters):
    """The call is denied, in AWS's words from the first to the last: who may not do what, on what, and why."""
    try:
        call(**parameters)
    except ClientError as e:
        error = e.response["Error"]
        service = call.__self__.meta.service_model.service_name
        want = CODES.get(service, "AccessDeniedException")
        assert error["Code"] == want, (want, error)
        text = f"User: {who.arn} is not authorized to perform: {action}"
        if service == "iam":
            resource = shown(who, e.operation_name, action, resource)
        if resource:
            text += f' on resource: "{resource}"' if action.startswith("s3:") else f" on resource: {resource}"
        text += " " + (because or f"because {NO_IDENTITY} allows the {action} action")
        message = error["Message"]
        if service == "ec2":
            text = "You are not authorized to perform this operation. " + text
            message, _, encoded = message.partition(". Encoded authorization failure message: ")
            assert message == text, (text, message)
            return encoded
        assert message == text, (text, message)
        return None
    raise AssertionError(f"{call.__name__} {parameters} was not denied"[:600])


def refused(code, call, text="", **parameters):
    """The call ends with another error than a denial."""
    try:
        call(**parameters)
    except ClientError as e:
        error = e.response["Error"]
        assert error["Code"] == code and text in error["Message"], (code, text, error)
        return
    raise AssertionError(f"{call.__name__} {parameters} was not refused with {code}"[:600])
