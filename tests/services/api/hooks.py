# What Schemathesis sends is what a program would send.
import schemathesis


def written(value):
    """JSON Schema takes 1.0 for a whole number, and no program writes one like that."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: written(member) for name, member in value.items()}
    if isinstance(value, list):
        return [written(member) for member in value]
    return value


@schemathesis.hook
def map_body(context, body):
    return written(body)


@schemathesis.hook
def map_query(context, query):
    return written(query)
