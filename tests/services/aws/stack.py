"""Deploys a CloudFormation template, as `aws cloudformation deploy` does, or deletes a stack.

stack.py deploy NAME TEMPLATE [PARAMETER=VALUE ...]   prints the outputs as one JSON object
stack.py delete NAME
stack.py subscribe TOPIC QUEUE                        both by ARN: what the topic tells comes to the queue
"""

import json
import sys

import boto3
from botocore.exceptions import WaiterError

cloudformation = boto3.client("cloudformation")
PATIENCE = {"WaiterConfig": {"Delay": 1, "MaxAttempts": 180}}


def wait(condition, name):
    try:
        cloudformation.get_waiter(condition).wait(StackName=name, **PATIENCE)
    except WaiterError as error:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
            for event in events
            if event.get("ResourceStatusReason")
        ]
        sys.exit("\n".join([str(error), *reasons]))


def deploy(name, template, *parameters):
    with open(template) as text:
        body = text.read()
    pairs = [parameter.split("=", 1) for parameter in parameters]
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=body,
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in pairs],
    )
    wait("stack_create_complete", name)
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    print(json.dumps({output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}))


def delete(name):
    # A deleted stack goes by its ID only.
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=name)
    wait("stack_delete_complete", stack)


def subscribe(topic, queue):
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)


{"deploy": deploy, "delete": delete, "subscribe": subscribe}[sys.argv[1]](*sys.argv[2:])
