"""`[login]` and `[home] address` of `farm.toml`: each mistake is told with its line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaces.farm.queue import settings
from spaces.farm.queue.settings import SettingsFault, read
from spaces.farm.queue.settings_file.login_table import ASKED_AGAIN, LoginRules
from spaces.farm.queue.settings_file.private_file import SecretsFault
from spaces_workers.doctor.settings_file import settings_file
from spaces_workers.setup.provider import check_provider
from tests.unit.command_run import Run

WHOLE = """[login]
issuer = "https://id.example/realms/lab"
client_id = "zerofarm"
client_secret_file = "login.secret"
operators = ["gpu-admins"]
"""

#: Each is what the table has besides or instead, the line that is wrong, and what is said of it.
MISTAKES = [
    (
        "issuer",
        "'http://id.example'",
        2,
        'issuer must be the https address of the provider, as "https://id.example.org',
    ),
    ("issuer", "'id.example'", 2, "issuer must be the https address"),
    ("issuer", "'https://ada@id.example'", 2, "issuer must be the https address"),
    ("issuer", "'https://id.example/?realm=lab'", 2, "issuer must be the https address"),
    ("issuer", "'https://id.example/.well-known/openid-configuration'", 2, "without /.well-known/openid-configuration"),
    ("issuer", "", 1, "[login] issuer is missing: write the address of the provider"),
    ("client_id", "7", 3, "client_id must be a text, as the provider shows it, got 7"),
    ("client_id", "", 1, "[login] client_id is missing: write the name that the provider gave to this farm"),
    ("client_secret_file", "''", 4, "client_secret_file must be the name of a file that has the secret, got ''"),
    ("client_secret_file", "", 1, "[login] client_secret_file is missing: write the secret"),
    ("operators", "'gpu-admins'", 5, "operators must be a list of texts, the values that give the role"),
    (
        "operators",
        "[]",
        5,
        '[login] operators are missing: name the values of the claim that give the role, as ["admins"]',
    ),
    ("operators", "", 1, "[login] operators are missing"),
    ("viewers", "[1]", 6, "viewers must be a list of texts"),
    ("claim", "['groups']", 6, 'claim must be the name of a claim, as "groups", or of one inside another'),
    ("name", "3", 6, "name must be a text, which the login shows, got 3"),
    ("scopes", "['openid groups']", 6, 'scopes must be a list of texts without spaces, as ["groups"]'),
    ("session", "30", 6, "session must be a number of seconds from 60 to 43200, got 30"),
    ("session", "86400", 6, "session must be a number of seconds from 60 to 43200"),
    ("session", "true", 6, "session must be a number of seconds"),
    ("operator", "['ada']", 6, "[login] has an unknown 'operator'; it may have issuer, client_id, client_secret_file"),
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "farm.toml"
    monkeypatch.setenv(settings.VARIABLE, str(file))
    return file


def with_key(key: str, value: str) -> str:
    """The table with another value of a key; without the key if the value is empty."""
    lines = WHOLE.splitlines()
    place = next((number for number, line in enumerate(lines) if line.startswith(f"{key} =")), len(lines))
    lines[place : place + 1] = [f"{key} = {value}"] if value else []
    return "\n".join(lines) + "\n"


def test_without_the_table_there_is_no_provider(file: Path) -> None:
    file.write_text("")
    assert read(file).login == LoginRules()


def test_the_table_is_read(file: Path) -> None:
    file.write_text(f"{WHOLE}viewers = ['lab', 'guests']\nsession = 600\n")
    rules = read(file).login
    assert (rules.operators, rules.viewers, rules.claim) == (("gpu-admins",), ("lab", "guests"), "groups")
    assert (rules.title, rules.session) == ("id.example", 600)
    assert rules.metadata_url == "https://id.example/realms/lab/.well-known/openid-configuration"


def test_a_provider_on_this_host_needs_no_tls(file: Path) -> None:
    file.write_text(with_key("issuer", "'http://127.0.0.1:9000'"))
    assert (read(file).login.host, read(file).login.session) == ("127.0.0.1", ASKED_AGAIN)


@pytest.mark.parametrize(("key", "value", "line", "words"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_remedy(file: Path, key: str, value: str, line: int, words: str) -> None:
    file.write_text(with_key(key, value))
    with pytest.raises(SettingsFault) as fault:
        read(file)
    assert f"farm.toml, line {line}: [login] " in str(fault.value)
    assert words in str(fault.value)


def test_a_secret_in_the_table_is_refused_and_not_repeated(file: Path) -> None:
    file.write_text(f"{WHOLE}client_secret = 'hush'\n")
    with pytest.raises(SettingsFault, match=r"line 6: \[login\] has an unknown 'client_secret'") as fault:
        read(file)
    assert "hush" not in str(fault.value)


@pytest.mark.parametrize("value", ["'farm.example'", "'https://farm.example/'", "'ftp://farm.example'", "7"])
def test_an_address_is_a_whole_one(file: Path, value: str) -> None:
    file.write_text(f"[home]\naddress = {value}\n")
    with pytest.raises(SettingsFault, match=r"line 2: \[home\] address must be an address such as"):
        read(file)


def test_the_home_page_is_known_by_the_name_of_its_address(file: Path) -> None:
    file.write_text("[home]\nhosts = ['other.example']\naddress = 'https://Farm.example:8443/gpu'\n")
    assert read(file).home.hosts == ("other.example", "farm.example")
    assert read(file).home.address == "https://Farm.example:8443/gpu"


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (None, 0o600, "login.secret cannot be read: FileNotFoundError. Make it, or fix its name"),
        ("hush", 0o644, "login.secret may be read by others: chmod 600"),
        (" \n", 0o600, "login.secret is empty. Write the secret of the provider into it"),
    ],
)
def test_a_farm_does_not_start_without_its_secret(file: Path, text: str | None, mode: int, words: str) -> None:
    file.write_text(WHOLE)
    if text is not None:
        (file.parent / "login.secret").write_text(text)
        (file.parent / "login.secret").chmod(mode)
    with pytest.raises(SecretsFault) as fault:
        check_provider()
    assert str(fault.value).startswith("[login] client_secret_file: ")
    assert words in str(fault.value)
    assert "hush" not in str(fault.value)
    findings = {finding.subject: finding for finding in settings_file(file.parent)}
    assert (findings["login"].status, findings["login"].message) == ("problem", str(fault.value))


@pytest.mark.parametrize("command", ["up", "home"])
def test_a_command_refuses_to_start_without_it(file: Path, run: Run, command: str) -> None:
    file.write_text(WHOLE)
    code, _, errors = run(command, "--state-dir", file.parent)
    assert code == 1
    assert errors.startswith("zerofarm: [login] client_secret_file: the secrets file ")


def test_a_secret_that_is_there_is_enough(file: Path) -> None:
    file.write_text(WHOLE)
    (file.parent / "login.secret").write_text("hush\n")
    (file.parent / "login.secret").chmod(0o600)
    check_provider()
    findings = {finding.subject: finding for finding in settings_file(file.parent)}
    assert findings["login"].status == "ok"
