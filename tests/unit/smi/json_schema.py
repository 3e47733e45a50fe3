# SPDX-License-Identifier: Apache-2.0
"""A validator for the part of JSON Schema that docs/schema uses. Strict: a key that the schema does not name is an error too."""
import re

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KNOWN = {"$schema", "$id", "$defs", "$ref", "title", "description", "type", "required", "properties", "additionalProperties", "items", "anyOf",
         "enum", "const", "pattern", "minimum", "maximum"}


def has_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def check_object(value, schema, root, path):
    for key in schema.get("required", []):
        if key not in value:
            yield f"{path}: no key '{key}'"
    properties = schema.get("properties", {})
    for key, item in value.items():
        inner = properties.get(key, schema.get("additionalProperties"))
        if inner is not None:
            yield from check(item, inner, root, f"{path}.{key}")
        elif "properties" in schema:
            yield f"{path}: the schema does not know the key '{key}'"


def check_scalar(value, schema, path):
    if "const" in schema and value != schema["const"]:
        yield f"{path}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"
    if has_type(value, "number"):
        if value < schema.get("minimum", value):
            yield f"{path}: {value} is less than {schema['minimum']}"
        if value > schema.get("maximum", value):
            yield f"{path}: {value} is more than {schema['maximum']}"


def check(value, schema, root, path="$"):
    """Yields a sentence for each violation."""
    unknown = set(schema) - KNOWN
    if unknown:
        raise ValueError(f"this validator does not know {sorted(unknown)}")
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        yield from check(value, target, root, path)
    if "anyOf" in schema:
        attempts = [list(check(value, option, root, path)) for option in schema["anyOf"]]
        if all(attempts):
            yield from min(attempts, key=len)
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(has_type(value, name) for name in names):
        yield f"{path}: {value!r} is not of type {' or '.join(names)}"
        return
    yield from check_scalar(value, schema, path)
    if isinstance(value, dict):
        yield from check_object(value, schema, root, path)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from check(item, schema["items"], root, f"{path}[{index}]")
