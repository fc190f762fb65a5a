"""LocalStack as this very process, where expressions of state machines are evaluated in Python.

By itself it evaluates JSONata in a Java machine that it downloads from outside of the package registries when the
first expression comes, and without it every execution that has one fails.
"""

import json

from jsonata import Jsonata
from localstack.runtime.main import main
from localstack.services.stepfunctions.asl.jsonata import jsonata as machine


def evaluate(expression):
    try:
        # As plain values: the evaluator's own lists are of a type that LocalStack does not know.
        return json.loads(json.dumps(Jsonata(expression).evaluate(None)))
    except Exception as error:
        raise machine.JSONataException("UNKNOWN", str(error)) from error


machine._eval_jsonata = evaluate

if __name__ == "__main__":
    main()
