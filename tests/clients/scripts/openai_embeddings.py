"""A user of openai-python who wants vectors, and knows nothing but the address."""

import asyncio
import base64
import math
import struct
import sys

import openai
from openai import AsyncOpenAI, OpenAI
from report import check, main
from vectors import alike

client = OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0, timeout=60)
MODEL = "starter-embed"
TEXTS = ["A unicorn has one horn.", "유니콘은 뿔이 하나다.", "A horse has none."]


def vector(text: str, **options: object) -> list[float]:
    """One vector, as the SDK gives it: it asks for base64 by itself."""
    given = {"model": MODEL, "input": text} | options
    return client.embeddings.create(**given).data[0].embedding  # type: ignore[call-overload, no-any-return]


@check
def vectors_of_several_texts_in_order() -> None:
    answer = client.embeddings.create(model=MODEL, input=TEXTS)
    assert answer.object == "list"
    assert answer.model == MODEL
    assert [each.index for each in answer.data] == [0, 1, 2]
    assert {each.object for each in answer.data} == {"embedding"}
    for each in answer.data:
        assert math.isclose(math.hypot(*each.embedding), 1, abs_tol=1e-5)
    assert alike(answer.data[1].embedding, vector(TEXTS[1]))
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


@check
def numbers_and_base64_are_the_same() -> None:
    numbers = vector(TEXTS[0], encoding_format="float")
    single = [struct.unpack("<f", struct.pack("<f", number))[0] for number in numbers]
    coded = client.embeddings.create(model=MODEL, input=TEXTS[0], encoding_format="base64")
    written = coded.data[0].embedding
    assert isinstance(written, str)
    content = base64.b64decode(written)
    found = struct.unpack(f"<{len(content) // 4}f", content)
    assert alike(list(found), single)
    assert alike(vector(TEXTS[0]), single)


@check
def fewer_dimensions_and_all_of_them() -> None:
    whole = vector(TEXTS[0])
    assert alike(vector(TEXTS[0], dimensions=len(whole)), whole)
    assert len(vector(TEXTS[0], dimensions=16)) == 16


@check
def further_fields_go_through_extra_body() -> None:
    answer = client.embeddings.create(
        model="echo-embed", input="a horse", user="me", extra_body={"input_type": "query"}
    )
    assert answer.data[0].embedding == vector("query: a horse", model="echo-embed")


@check
def the_async_client() -> None:
    async def ask() -> list[float]:
        async with AsyncOpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none") as asking:
            answer = await asking.embeddings.create(model=MODEL, input=TEXTS[2])
            return answer.data[0].embedding

    assert alike(asyncio.run(ask()), vector(TEXTS[2]))


@check
def a_request_of_2048_texts() -> None:
    answer = client.embeddings.create(model=MODEL, input=[f"text {at}" for at in range(2048)])
    assert [each.index for each in answer.data] == list(range(2048))
    assert alike(answer.data[2047].embedding, vector("text 2047"))


def refused(**options: object) -> openai.BadRequestError:
    """The error that a request ends with."""
    try:
        vector("", **options)
    except openai.BadRequestError as error:
        return error
    raise AssertionError("it was taken")


@check
def errors_say_what_to_change() -> None:
    assert refused(input="").param == "input"
    assert refused(input="word " * 600).code == "context_length_exceeded"
    assert "check_embedding_ctx_length=False" in refused(input=[[1, 2, 3]]).message
    assert refused(input="a", dimensions=4096).param == "dimensions"
    try:
        vector("a", model="text-embedding-3-small")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found"
    else:
        raise AssertionError("it was taken")


if __name__ == "__main__":
    main()
