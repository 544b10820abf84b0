from pathlib import Path

from deploy.supply_chain.locked import DEV, LOCAL, RUNTIME, installable


def test_packages_for_this_platform_are_found(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(
        "Jinja2==3.1.6 \\\n    --hash=sha256:00\n    # via fastapi\n"
        "nowhere==1 ; sys_platform == 'never' \\\n    --hash=sha256:00\n"
        "typing_extensions==4 ; python_version >= '3' \\\n    --hash=sha256:00\n"
    )
    assert installable(lock) == ["jinja2", "typing-extensions"]


def test_each_file_holds_the_one_before() -> None:
    assert set(installable(RUNTIME)) < set(installable(LOCAL)) < set(installable(DEV))
