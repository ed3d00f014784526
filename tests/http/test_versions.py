from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts

from app import version_router, versions
from app.versions import DuplicateRoute, Release

APP = Path(versions.__file__).parent


def routes(*declared: tuple[str, str, str]) -> APIRouter:
    router = APIRouter()
    for method, path, name in declared:
        router.add_api_route(path, lambda: None, methods=[method], name=name)
    return router


def names(composed: list[APIRoute]) -> list[str]:
    return [route.name for route in composed]


def test_a_version_is_all_before_it_and_the_later_one_wins() -> None:
    first = Release((routes(("GET", "/a", "a1"), ("GET", "/b", "b1"), ("POST", "/b", "post1")),))
    second = Release((routes(("GET", "/b", "b2")), routes(("GET", "/c", "c2"))))
    assert names(versions.compose([first])) == ["a1", "b1", "post1"]
    assert names(versions.compose([first, second])) == ["a1", "b2", "post1", "c2"]


def test_two_answers_in_one_version_stop_the_start() -> None:
    twice = Release((routes(("GET", "/a", "x")), routes(("GET", "/a", "y"))))
    with pytest.raises(DuplicateRoute, match="GET /a"):
        versions.compose([twice])


def test_the_names_that_a_start_knows_are_those_of_the_releases() -> None:
    assert version_router.NAMES == versions.NAMES


def test_a_look_at_a_version_before_it_is_loaded_hides_nothing() -> None:
    """The answer 405 looks at all routes, so it may come before them."""
    router, version = APIRouter(), version_router.VersionRouter("v1")
    version.join(router)
    assert not list(iter_route_contexts(router.routes))
    version.load()
    version.load()
    assert [route.path for route in iter_route_contexts(router.routes)] == [
        "/api/v1/chat",
        "/api/v1/models",
    ]


def test_operation_ids_are_unique_over_all_versions() -> None:
    found = [
        operation["operationId"]
        for name in versions.NAMES
        for operations in versions.document(name)["paths"].values()
        for operation in operations.values()
    ]
    assert len(found) == len(set(found)) > 0


def test_each_version_documents_its_own_paths_only() -> None:
    assert set(versions.document("v1")["paths"]) == {"/api/v1/chat", "/api/v1/models"}
    assert set(versions.document("v2")["paths"]) == {
        "/api/v2/chat",
        "/api/v2/models",
        "/api/v2/chat/stream",
    }
    assert set(versions.document("v3")["paths"]) == {
        "/api/v3/chat",
        "/api/v3/models",
        "/api/v3/chat/stream",
        "/api/v3/prompt/templates",
        "/api/v3/prompt/templates/{name}",
    }
