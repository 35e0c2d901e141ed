"""`[spaces.NAME]` of `farm.toml`, and files of secrets: each mistake is told with its line, key and remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spaces.farm.queue import settings
from spaces.farm.queue.rules import SpaceRules
from spaces.farm.queue.settings import SettingsFault, read
from spaces.farm.queue.settings_file.private_file import SecretsFault
from spaces_workers.doctor.settings_file import settings_file
from spaces_workers.setup.space_variables import secrets_in, variables_of_space

#: Each is the file, the line that is wrong, and what is said of it.
MISTAKES = [
    ("[spaces.a]\nsource = 3", 2, "[spaces.a] source must be a text, got 3"),
    ("[spaces.a]\nsource = ''", 2, "[spaces.a] source must be a text, got ''"),
    ("[spaces.My_Space]\nsource = './a'", 2, "must belong to a name of small letters, digits and dashes"),
    ("[spaces.a]\nsorce = './a'", 2, "has an unknown 'sorce'; it may have source, env"),
    ("[spaces.a]\nsorce = './a'", 2, "Did you mean source?"),
    ("[spaces.a]\n\n# few\nmax_gpu = 1", 4, "Did you mean max_gpus?"),
    ("[spaces.a]\nmax_gpus = 0", 2, "[spaces.a] max_gpus must be a whole number of at least 1; to stop a Space, "),
    ("[spaces.a]\nmax_gpus = 1.5", 2, "max_gpus must be a whole number of at least 1"),
    ("[spaces.a]\nmax_gpus = true", 2, "max_gpus must be a whole number of at least 1"),
    ("[spaces.b]\n[spaces.a]\npriority = 601", 3, "[spaces.a] priority must be seconds from -600 to 600, got 601"),
    ("[spaces.a]\npriority = 'high'", 2, "priority must be seconds from -600 to 600, got 'high'"),
    ("[spaces.a]\nenv = 'A=1'", 2, '[spaces.a] env must be a table of texts, such as { GREETING = "hello" }'),
    ("[spaces.a]\nenv = { A = 1 }", 2, "env must be a table of texts"),
    ("[spaces.a.env]\nZEROFARM_URL = 'x'", 1, "[spaces.a] env must be variables of the Space, without ZEROFARM_URL"),
    ("[spaces.a]\nenv = { GRADIO_SERVER_PORT = '1' }", 2, "without GRADIO_SERVER_PORT, which the farm itself sets"),
    ("[spaces.a]\nenv = { 'A-B' = '1' }", 2, "env must be variables of letters, digits and _, without 'A-B'"),
    ("[spaces.a]\nsecrets = { A = 'x' }", 2, "[spaces.a] secrets must be a text"),
    ("[spaces.a]\nidle_after = 0", 2, "[spaces.a] idle_after must be a number of at least 1, got 0"),
    ("[spaces.a]\nsize = 'huge'", 2, '[spaces.a] size must be "large" or "xlarge", got \'huge\''),
    ("[spaces.a]\nsize = ['large']", 2, '[spaces.a] size must be "large" or "xlarge"'),
    ("[spaces.a]\ntier = 'member'", 2, 'Tiers belong to visitors; for calls without one, write "space:NAME"'),
    ("[spaces.a]\npin = 1", 2, "[spaces.a] pin must be true or false, got 1"),
    ("[spaces.a]\ngroup = true", 2, "[spaces.a] group must be a text, got True"),
    ("[spaces.a]\nfork = 'yes'", 2, "[spaces.a] fork must be true or false, got 'yes'"),
    ("[spaces.a]\nroot_path = 'a'", 2, '[spaces.a] root_path must be a path such as "/digits"'),
    ("[spaces]\na = './a'", 2, "[spaces.a] must be a table, got './a'"),
    ("spaces = 1", 1, "spaces must be tables, [spaces.NAME], got 1"),
    ("[rank]\nweight = 3\n[limits]\nlongest_wait = 0", 4, "[limits] longest_wait must be a number of at least 1"),
    ("[quota]\nenabled = 'on'", 2, "[quota] enabled must be true or false, got 'on'"),
    ("[spaces.a]\nsource = './a'\n[space.b]", 3, "has an unknown 'space'; it may have rank, limits"),
]


@pytest.mark.parametrize(("text", "line", "words"), MISTAKES)
def test_a_mistake_is_told_with_its_line_key_and_remedy(tmp_path: Path, text: str, line: int, words: str) -> None:
    (tmp_path / "farm.toml").write_text(text)
    with pytest.raises(SettingsFault) as caught:
        read(tmp_path / "farm.toml")
    assert str(caught.value).startswith(f"{tmp_path / 'farm.toml'}, line {line}: ")
    assert words in str(caught.value)


def test_all_that_a_space_may_have_is_read(tmp_path: Path) -> None:
    (tmp_path / "farm.toml").write_text(
        "[spaces.a]\nsource = './a'\nenv = { A = '1' }\nsecrets = 'a.secrets'\nmax_gpus = 2\npriority = -30\n"
        "pin = true\ngroup = 'studio'\nsize = 'xlarge'\n"
    )
    assert read(tmp_path / "farm.toml").spaces == {
        "a": SpaceRules(
            source="./a",
            env={"A": "1"},
            secrets="a.secrets",
            max_gpus=2,
            priority=-30,
            pin=True,
            group="studio",
            size="xlarge",
        )
    }


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("A=1", 0o644, "may be read by others: chmod 600"),
        ("A=1", 0o640, "may be read by others: chmod 600"),
        ("A=1\nsecret-value", 0o600, "line 2 must be NAME=value, or a comment that begins with #"),
        ("A-B=secret-value", 0o600, "line 1 must have variables of letters, digits and _, without 'A-B'"),
        ("\n\nZEROFARM_KEY=secret-value", 0o600, "line 3 must have variables of the Space, without ZEROFARM_KEY"),
        (None, 0o600, "cannot be read: FileNotFoundError. Make it, or fix its name"),
    ],
)
def test_a_file_of_secrets_that_cannot_be_used_is_told_without_a_value(
    tmp_path: Path, text: str | None, mode: int, words: str
) -> None:
    path = tmp_path / "a.secrets"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(SecretsFault) as caught:
        secrets_in(path)
    assert words in str(caught.value)
    assert "secret-value" not in str(caught.value)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_secrets_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.secrets"
    path.write_text("A=1")
    path.chmod(0o600)
    os.chown(path, 12345, 12345)
    with pytest.raises(SecretsFault, match="belongs to another user"):
        secrets_in(path)


def test_a_space_has_its_variables_and_no_other_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "farm.toml").write_text("[spaces.a]\nenv = { GREETING = 'hello' }\nsecrets = 'a.secrets'\n")
    (tmp_path / "a.secrets").write_text("# of the model\nexport TOKEN='a = b'\nEMPTY=\n")
    (tmp_path / "a.secrets").chmod(0o600)
    monkeypatch.setenv(settings.VARIABLE, str(tmp_path / "farm.toml"))
    assert variables_of_space("a") == {"GREETING": "hello", "TOKEN": "a = b", "EMPTY": ""}
    assert variables_of_space("b") == {}


def test_what_a_file_says_of_a_space_is_read_anew_and_a_mistake_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "farm.toml"
    monkeypatch.setenv(settings.VARIABLE, str(file))
    file.write_text("[spaces.a]\nmax_gpus = 1\n")
    assert settings.of_space("a").max_gpus == 1
    file.write_text("[spaces.a]\nmax_gpus = 22\n")
    assert settings.of_space("a").max_gpus == 22
    file.write_text("[spaces.a]\nmax_gpus = 'some'\n")
    assert settings.of_space("a").max_gpus == 22
    file.unlink()
    assert settings.of_space("a").max_gpus is None


def test_the_doctor_looks_into_files_of_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.VARIABLE, "")
    (tmp_path / "farm.toml").write_text("[spaces.a]\nsecrets = 'a'\n[spaces.b]\nsecrets = 'b'\n")
    for name, mode in (("a", 0o600), ("b", 0o644)):
        (tmp_path / name).write_text("TOKEN=secret-value")
        (tmp_path / name).chmod(mode)
    found = [(each.status, each.message) for each in settings_file(tmp_path)]
    assert [status for status, _ in found] == ["ok", "ok", "problem"]
    assert "may be read by others: chmod 600" in found[2][1]
    assert "secret-value" not in str(found)


def test_the_size_of_a_space_is_a_variable_of_its_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "farm.toml").write_text("[spaces.a]\nsize = 'xlarge'\n")
    monkeypatch.setenv(settings.VARIABLE, str(tmp_path / "farm.toml"))
    assert variables_of_space("a") == {"ZEROFARM_SIZE": "xlarge"}
    assert variables_of_space("b") == {}
