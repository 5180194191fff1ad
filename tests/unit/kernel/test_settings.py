from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from insjo.kernel.errors import InvalidArgument
from insjo.kernel.settings import Settings, load_settings


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "insjo.toml").write_text('port = 1\nhost = "a"\nthreads = 5\n')
    environment = {"INSJO_PORT": "2", "INSJO_HOST": "b"}
    loaded = load_settings({"data_dir": str(tmp_path), "port": 3}, environment=environment)
    assert (loaded.settings.port, loaded.settings.host, loaded.settings.threads) == (3, "b", 5)
    assert loaded.settings.sql_workers == Settings().sql_workers
    sources = {origin.name: origin.source for origin in loaded.origins}
    assert (sources["port"], sources["host"], sources["threads"], sources["sql_workers"]) == ("flag", "environment", "file", "default")


def test_an_unknown_name_in_the_file_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "insjo.toml").write_text("prot = 1\n")
    with pytest.raises(InvalidArgument, match="Did you mean `port`"):
        load_settings({"data_dir": str(tmp_path)}, environment={})


@pytest.mark.parametrize("text", ["abc", "", "1.5"])
def test_a_value_of_the_wrong_type_names_setting_and_source(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"`port` \(from environment\)"):
        load_settings({}, environment={"INSJO_PORT": text})


def test_broken_toml_and_a_missing_named_file_are_errors(tmp_path: Path) -> None:
    broken = tmp_path / "insjo.toml"
    broken.write_text("port = [")
    with pytest.raises(InvalidArgument, match="not valid TOML"):
        load_settings({"data_dir": str(tmp_path)}, environment={})
    with pytest.raises(InvalidArgument, match="does not exist"):
        load_settings({}, environment={}, file=tmp_path / "none.toml")


def test_secrets_are_masked_where_settings_are_shown() -> None:
    loaded = load_settings({}, environment={"INSJO_DATABASE_URL": "postgresql://u:pw@h/db"})
    shown = {origin.name: origin.value for origin in loaded.origins}
    assert shown["database_url"] == "********"
    assert loaded.settings.metadata_url.endswith("pw@h/db")


def test_every_setting_says_what_it_means() -> None:
    assert all(str(each.metadata["meaning"]).endswith(".") for each in fields(Settings))
