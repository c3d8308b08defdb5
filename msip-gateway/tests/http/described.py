"""Validates OpenAPI documents, JSON Schemas, and instances of the schemas, which come as JSON by standard input."""

import json
import sys

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

given = json.load(sys.stdin)
count = 0
for described in given["documents"]:
    document = described["openapi"]
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    assert not errors, errors
    registry = Registry().with_resource("urn:openapi", Resource(document, DRAFT202012))
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
    for instance in described["instances"]:
        reference = {"$ref": f"urn:openapi#/components/schemas/{instance['schema']}"}
        validator = Draft202012Validator(reference, registry=registry, format_checker=FormatChecker())
        errors = [error.message for error in validator.iter_errors(instance["value"])]
        assert bool(errors) != instance["valid"], (instance, errors)
        count += 1
for schema in given["schemas"]:
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate({})
print(f"{len(given['documents'])} documents, {len(given['schemas'])} schemas and {count} instances")
