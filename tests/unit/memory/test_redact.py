"""Secrets go before anything is stored; ordinary sentences stay as they are."""

import time

import pytest

from gateway.memory.redact import MASK, redact

# Each text, and a part of it that must be gone. The tokens are made up; none was ever issued.
SECRETS = [
    ("my password is hunter2", "hunter2"),
    ("The wifi password is Tr0ub4dor&3, write it down.", "Tr0ub4dor&3"),
    ("password: s3cr3t!pass", "s3cr3t"),
    ("Password for the router: Blue42Horse", "Blue42Horse"),
    ("the passcode for the back door is 9041", "9041"),
    ("My PIN is 4821.", "4821"),
    ("my pin code 7713 stopped working", "7713"),
    ("I changed my password to Sunny-Day-99", "Sunny-Day-99"),
    ("the password to the safe is 83-12-47", "83-12-47"),
    ('her passphrase is "correct horse battery staple"', "horse"),
    ("passphrase is correct-horse-battery-staple", "horse"),
    ("the password is ünï-c0de", "c0de"),
    ("DB_PASSWORD=swordfish", "swordfish"),
    ("export MYSQL_ROOT_PASSWORD='let me in'", "let me in"),
    ('userPassword = "pa55word"', "pa55word"),
    ('{"password": "qwerty", "user": "bob"}', "qwerty"),
    ("{'api_key': 'abcd-efgh-ijkl'}", "abcd-efgh-ijkl"),
    ("login: bob pass: hunter2", "hunter2"),
    ("mysql --password hunter22 -u root", "hunter22"),
    ("curl -u alice:opensesame https://example.org", "opensesame"),
    ("curl -H 'Authorization: Basic dXNlcjpwYXNzd29yZA=='", "dXNlcjpw"),
    ("Authorization: Bearer abcdefghijklmnop", "abcdefgh"),
    ("postgres://app:p4ss@db.example.org:5432/main", "p4ss"),
    ("postgres://app:p@ss!w0rd$@db.example.org/main", "w0rd"),
    ("redis://:longredispass@cache:6379/0", "longredispass"),
    ("mongodb+srv://u:pw123456@cluster0.example.net", "pw123456"),
    ("https://bob:hunter2@example.org/path", "hunter2"),
    ("https://example.org/cb?access_token=a1b2c3d4e5f6", "a1b2c3d4e5f6"),
    ("client_secret=9f8e7d6c5b4a", "9f8e7d6c5b4a"),
    ("api key: 9f8e-7d6c-5b4a-3210", "9f8e"),
    ("the api key `k_zz9911`", "zz9911"),
    ("//registry.example.org/:_authToken=abc123def456", "abc123def456"),
    ("AWS_ACCESS_KEY_ID=AKIA" + "IOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    ("see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_DEF-123.", "eyJ"),
    ("key sk-" + "proj-AbCdEf0123456789AbCdEf0123456789", "AbCdEf"),
    ("sk-" + "ant-api03-AAAAbbbb1111CCCCdddd2222EEEE", "CCCCdddd"),
    ("ghp_" + "0123456789abcdefghijklmnopqrstuvwxyz", "456789abc"),
    ("github_pat_" + "11ABCDEFG0123456789abcdefghijklmnop", "ABCDEFG"),
    ("glpat-" + "abcDEF123456ghiJKL78 deploys", "abcDEF"),
    ("xoxb-" + "123456789012-abcdefGHIJKL", "abcdefG"),
    ("hf_" + "abcdefghijklmnopqrstuvwxyz012345", "klmnopq"),
    ("AIza" + "SyA1234567890abcdefghijklmnopqrstuv", "SyA123"),
    ("sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc", "4eC39"),
    ("npm_" + "abcdefghijklmnopqrstuvwxyz0123456789", "klmnop"),
    ("SG." + "abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "klmnop"),
    ("123456789:" + "AAabcdefghijklmnopqrstuvwxyz0123456 is the bot", "AAabc"),
    ("https://hooks.slack.com/services/" + "T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "XXXX"),
    ("DefaultEndpointsProtocol=https;AccountKey=" + "a1B2" * 22, "a1B2"),
    ("pypi-AgEIcHlwaS5vcmc" + "aB3_" * 20, "aB3_"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nDEF\n-----END RSA PRIVATE KEY-----\nbye", "MIIE"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk, cut", "b3Blb"),
]
HARMLESS = [
    "My password is wrong again.",
    "I forgot my password and had to reset it.",
    "The password is case-sensitive.",
    "the password is 12-character minimum",
    "The password must be a 12-character one.",
    "the password is too short; pick a longer one",
    "Where do I change my password? Is the password correct?",
    "Passwords are a pain; a passphrase is easier to remember.",
    "My boarding pass is at gate B12.",
    "My ski pass: 3-day, and it was cheap.",
    "What is a pass-the-hash attack? pass: yes, fail: no",
    "I use a password manager: it is free.",
    "The secret is to let the dough rest.",
    "The secret: 2-day fermentation.",
    "Her secret ingredient is nutmeg. Their motto: 'secret sauce'.",
    "Secretary Anna has the keys: ask her on Monday.",
    "The pin on the map is wrong.",
    "I lost my bowling pin 3 times.",
    "The key is under the mat. The key to happiness is sleep.",
    "API keys are created in the console; the api key is in the vault.",
    "Authentication token expired after 3600 seconds. access token: expired",
    "The token economy is interesting. token: 12345",
    "max_tokens=4096 and temperature=0.7",
    '{"max_tokens": 4096, "prompt_tokens": 12345}',
    '{"type": "object", "password": {"type": "string"}}',
    'token = request.headers.get("Authorization")',
    'password = os.environ["DB_PASSWORD"]',
    "password: str = None",
    "api_key=os.getenv('OPENAI_API_KEY')",
    "DB_PASSWORD=${DB_PASSWORD}",
    "password=<your password>",
    'primary_key=True, sort_key="created_at"',
    "Bearer of bad news, I am afraid. She has a basic understanding of bees.",
    "We met on 2024-05-17 at 10:30; call me at +49 151 2345678.",
    "My IP at home is 203.0.113.7.",
    "sk-learn-compatible-estimators are great",
    "https://example.org/path?page=2&sort=name and http://localhost:8080/v1",
    "git@example.org:org/repo.git, bob@example.org, https://user@example.org/x",
    "My order number is 4421-9987.",
    "The commit is 1f0c2d3e4b5a69788796a5b4c3d2e1f001122334.",
    "The recipe needs 200 g flour: mix, rest, bake. The ratio is 3:1 @ noon.",
    "AP Calculus and APUSH are hard.",
    "a := b; c == d; e: f; def pin(x): return x",
    "",
    "\n\n\x00\ud800",
]
# Beginnings of what is looked for, without the rest.
HOSTILE = ["eyJ", "sk-", "//:_authToken=", "://a:", "://a:b@", "password is ", "password   ", "key" + " " * 50, "AKIA"]
HOSTILE += [
    "-----BEGIN ",
    "-----BEGIN RSA PRIVATE KEY-----",
    "xoxb-1-",
    "a",
    "1",
    " ",
    "-",
    "--password ",
    "pin ",
    "AC",
]
HOSTILE += ["password for ", 'password "', "password to the ", MASK, "-u a:", "bearer ", "glagent-", "aws key'"]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_goes(text: str, secret: str) -> None:
    """In prose, code, addresses and environment lines; a second look finds nothing more."""
    clean = redact(text)

    assert secret not in clean
    assert MASK in clean
    assert redact(clean) == clean


@pytest.mark.parametrize("text", HARMLESS)
def test_a_harmless_text_stays(text: str) -> None:
    """Not a byte changes."""
    assert redact(text) == text


def test_only_the_secret_goes() -> None:
    """What stands around it is remembered."""
    text = "At home, the wifi password is Tr0ub4dor&3, and postgres://app:p4ss@db.example.org is the database."

    assert redact(text) == (
        f"At home, the wifi password is {MASK}, and postgres://app:{MASK}@db.example.org is the database."
    )


def test_every_secret_of_a_long_text_goes() -> None:
    """All of the examples in one text."""
    clean = redact("\n".join(text for text, _ in SECRETS))

    assert [secret for _, secret in SECRETS[:-2] if secret in clean] == []


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_text_is_searched_in_good_time(hostile: str) -> None:
    """100 kB of beginnings take seconds at most on a busy machine; a pattern that tries all ways would take hours."""
    text = hostile * (100_000 // len(hostile)) + "\n!"
    began = time.process_time()
    redact(text)

    assert time.process_time() - began < 10
