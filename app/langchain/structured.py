"""Structured output: what the model is asked for, and what makes a value of its text."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Literal

from langchain_core.language_models import LanguageModelInput
from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser, PydanticOutputParser
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.pydantic import is_basemodel_subclass

Method = Literal["json_schema", "function_calling", "json_mode"]
Schema = dict[str, Any] | type


def response_format(
    schema: Schema | None, method: Method, *, strict: bool | None
) -> dict[str, Any]:
    """The field of the request; raises ValueError for a method without the schema it needs."""
    if method == "json_mode":
        return {"type": "json_object"}
    if schema is None:
        raise ValueError(f"with_structured_output needs a schema for the method {method}.")
    found = convert_to_json_schema(schema, strict=strict)
    name = str(found.get("title") or "answer")
    described = {"name": name, "schema": found, "strict": strict is not False}
    return {"type": "json_schema", "json_schema": described}


def output_parser(schema: Schema | None) -> BaseOutputParser[Any]:
    """What reads the text: an object of a pydantic class, else a dict."""
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return PydanticOutputParser(pydantic_object=schema)
    return JsonOutputParser()


def parsed(
    model: Runnable[LanguageModelInput, Any], parser: BaseOutputParser[Any], *, include_raw: bool
) -> Runnable[LanguageModelInput, Any]:
    """The model with the parser behind it; ``include_raw`` keeps the message and the error."""
    if not include_raw:
        return model | parser
    reading: Runnable[Any, Any] = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    failed: Runnable[Any, Any] = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | reading.with_fallbacks([failed], exception_key="parsing_error")
