"""mappings/*.yaml and signatures.yaml: errors name the file, the line and the fix."""

from pathlib import Path

import pytest

from services.intake.gateways.policy import (
    bundle,
    check,
    in_force,
    read_bundle,
    read_mapping,
    read_signatures,
    shipped,
    shipped_text,
)
from shared.policy.files import InvalidPolicy

GOOD = """\
about: Ours
sends_resolved: true
signals:
  - key: body.id
    status:
      from: body.state
      resolved: [ok]
    summary: body.title
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mappings").mkdir()
    return tmp_path


def write(folder: Path, text: str, name: str = "ours.yaml") -> list[str]:
    (folder / "mappings" / name).write_text(text)
    return [str(error) for error in check(folder)]


def test_a_folder_without_mappings_is_good(tmp_path: Path) -> None:
    assert check(tmp_path) == []


def test_a_good_mapping_is_good(folder: Path) -> None:
    assert write(folder, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            "summary:",
            "sumary:",
            "mappings/ours.yaml:8: unknown key `sumary`; did you mean `summary`?",
        ),
        (
            "body.title",
            "body..title",
            "mappings/ours.yaml:8: `signals.0.summary`: is not JMESPath: ",
        ),
        (
            "body.title",
            "bdoy(title)",
            "`signals.0.summary`: there is no function `bdoy`; there are ",
        ),
        (
            "body.title",
            "'" + "x" * 1001 + "'",
            "`signals.0.summary`: has 1001 characters; at most 1000",
        ),
        (
            "  - key: body.id\n    status",
            "  - status",
            "the key `key` is missing; add what identifies",
        ),
        ("[ok]", "[]", "mappings/ours.yaml:2: no signal says which status means that it is over"),
        (": true", ": false", "mappings/ours.yaml:2: nothing ends these alerts; add how long"),
        (": true", ": maybe", "mappings/ours.yaml:2: `sends_resolved`: write true or false"),
        ("about: Ours\n", "", "mappings/ours.yaml:1: the key `about` is missing; add `about:`"),
        ("signals:", "signals: []\nx:", "`signals`: at least one item is needed"),
        ("about:", "about: [", "mappings/ours.yaml:"),
    ],
)
def test_an_error_names_the_file_the_line_and_the_fix(
    folder: Path, old: str, new: str, error: str
) -> None:
    assert old in GOOD
    errors = write(folder, GOOD.replace(old, new, 1))
    assert any(error in one for one in errors), errors


def test_the_errors_of_all_files_are_named(folder: Path) -> None:
    write(folder, "about: x", "one.yaml")
    errors = write(folder, "about: x", "two.yaml")
    assert {error.partition(":")[0] for error in errors} == {
        "mappings/one.yaml",
        "mappings/two.yaml",
    }


def test_the_name_of_a_mapping_is_a_part_of_the_url(folder: Path) -> None:
    (error,) = write(folder, GOOD, "Our Sender.yaml")
    assert "the name cannot be used" in error


def test_a_file_that_is_not_utf_8_is_named(folder: Path) -> None:
    (folder / "mappings" / "ours.yaml").write_bytes(b"about: \xff")
    (error,) = check(folder)
    assert str(error) == "mappings/ours.yaml:0: the file is not UTF-8"


def test_a_mapping_of_the_folder_replaces_the_one_of_that_name(folder: Path) -> None:
    write(folder, shipped_text("datadog").replace("Datadog monitors", "Ours"), "datadog.yaml")
    write(folder, GOOD)
    files = read_bundle(bundle(folder / "mappings"))
    policy = in_force(files.content, read_signatures(b"").content)
    assert policy.mappings["datadog"].about == "Ours"
    assert policy.mappings.keys() == shipped().mappings.keys() | {"ours"}
    assert len(files.version) == 12


def test_the_version_changes_with_any_file(folder: Path) -> None:
    write(folder, GOOD)
    before = read_bundle(bundle(folder / "mappings")).version
    write(folder, GOOD, "second.yaml")
    assert read_bundle(bundle(folder / "mappings")).version != before


def test_what_comes_with_tocsin_is_good_as_a_copy(folder: Path) -> None:
    for name in shipped().mappings:
        (folder / "mappings" / f"{name}.yaml").write_text(shipped_text(name))
    assert check(folder) == []


SIGNATURES = """\
integrations:
  grafana-prod:
    secret: {secret}
"""


def test_a_secret_is_a_reference(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "signatures.yaml"
    file.write_text(SIGNATURES.format(secret="hunter2"))
    (error,) = check(folder)
    assert str(error).startswith("signatures.yaml:3: `integrations.grafana-prod.secret`: a secret")
    assert "hunter2" not in str(error)
    file.write_text(SIGNATURES.format(secret="${TOCSIN_GRAFANA}"))
    (error,) = check(folder)
    assert "TOCSIN_GRAFANA is not set" in str(error)
    monkeypatch.setenv("TOCSIN_GRAFANA", "s3cret")
    assert check(folder) == []
    read = read_signatures(file.read_bytes())
    assert read.content.integrations["grafana-prod"].secrets == ("s3cret",)
    assert "s3cret" not in read.text
    assert "s3cret" not in repr(read.content)


def test_a_mapping_that_is_wrong_is_refused_with_all_errors() -> None:
    with pytest.raises(InvalidPolicy) as refused:
        read_mapping("ours", b"about: x\nsignals: 7\nformat: xml\n")
    assert {error.line for error in refused.value.errors} == {1, 2, 3}
