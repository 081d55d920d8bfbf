"""Calls every operation of one service with botocore, all members filled in, and checks the answers.

botocore_client.py URL SERVICE -> {"Operations": n, "Problems": {operation: text}}
"""
import datetime
import json
import sys

import botocore.session
from botocore.config import Config

NAMES = {
    "applicationautoscaling": "application-autoscaling", "cloudwatchlogs": "logs", "ec2instanceconnect": "ec2-instance-connect",
    "elasticloadbalancing": "elb", "elasticloadbalancingv2": "elbv2", "eventbridge": "events",
}
FIXED = {"Bucket": "bucket-1", "Key": "a/b", "EndpointId": None, "AccountId": "123456789012", "ChecksumAlgorithm": None,
         "SourceRegion": None,  # becomes PresignedUrl
         "MaxItems": "7", "MaxResults": "7",  # text in botocore, a number in Go: Route 53
         }


def fill(shape, depth, name=""):
    """Returns (value, number of leaves), or (None, 0) when the depth is reached."""
    if name in FIXED and shape.type_name == "string":
        return FIXED[name], 0 if FIXED[name] is None else 1
    kind = shape.type_name
    if kind == "structure":
        if depth.get(shape.name, 0) >= 2 or getattr(shape, "is_document_type", False):
            return None, 0
        depth = {**depth, shape.name: depth.get(shape.name, 0) + 1}
        value, count = {}, 0
        for member, target in shape.members.items():
            v, n = fill(target, depth, member)
            if n:
                value[member], count = v, count + n
                if getattr(shape, "is_tagged_union", False):
                    break
        return value, count
    if kind == "list":
        v, n = fill(shape.member, depth, name)
        return ([v, v], 2 * n) if n else (None, 0)
    if kind == "map":
        v, n = fill(shape.value, depth, name)
        return ({"k1": v, "k2": v}, 2 * n) if n else (None, 0)
    return {
        "string": lambda: (shape.enum or ["v-1"])[0], "boolean": lambda: True, "integer": lambda: 7, "long": lambda: 7, "float": lambda: 1.5, "double": lambda: 1.5,
        "blob": lambda: b"blob", "timestamp": lambda: datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.timezone.utc),
    }.get(kind, lambda: "v")(), 1


def missing(shape, value, depth, path=""):
    """The path of the first member that the answer lacks, or None."""
    if shape.type_name == "structure":
        if depth.get(shape.name, 0) >= 1:
            return None
        depth = {**depth, shape.name: 1}
        if getattr(shape, "is_tagged_union", False):
            return None if value else path
        for member, target in shape.members.items():
            if getattr(target, "is_eventstream", False) or target.serialization.get("eventstream"):
                continue
            if member == "LogDeliveryConfigurations" and "PendingModifiedValues" in path:
                continue  # ElastiCache: the two SDKs disagree about the element; ours is the Go SDK's
            if member not in value:
                return path + "." + member
            gap = missing(target, value[member], depth, path + "." + member)
            if gap:
                return gap
    elif shape.type_name == "list" and value:
        return missing(shape.member, value[0], depth, path + "[]")
    return None


def main():
    url, service = sys.argv[1:3]
    session = botocore.session.get_session()
    client = session.create_client(
        NAMES.get(service, service), region_name="us-east-1", endpoint_url=url, aws_access_key_id="AKID", aws_secret_access_key="SECRET",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=2, inject_host_prefix=False, s3={"addressing_style": "path"},
                      request_checksum_calculation="when_required", response_checksum_validation="when_required"))
    problems, count = {}, 0
    for op in client.meta.service_model.operation_names:
        model = client.meta.service_model.operation_model(op)
        if model.has_event_stream_output or model.has_event_stream_input:
            continue
        params, leaves = fill(model.input_shape, {}) if model.input_shape else ({}, 0)

        def mark(request, op=op, leaves=leaves, **_):
            request.headers["X-Test-Operation"] = op
            request.headers["X-Test-Leaves"] = str(leaves)

        client.meta.events.register_first("before-send." + client.meta.service_model.service_id.hyphenize() + "." + op, mark)
        count += 1
        try:
            answer = client._make_api_call(op, params)
        except Exception as e:  # the report is the point
            problems[op] = "%s: %s" % (type(e).__name__, str(e)[:300])
            continue
        if model.output_shape:
            gap = missing(model.output_shape, answer, {})
            if gap:
                problems[op] = "no " + gap
    json.dump({"Operations": count, "Problems": problems}, sys.stdout)


main()
