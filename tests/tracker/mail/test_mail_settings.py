"""Where mail goes is said in one address, refused in words where it is wrong, and no refusal repeats a password."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tracker.errors import WrongSetting
from tracker.mail.journals import ImapJournal, MaildirJournal, PostfixLog
from tracker.mail.maildir import Maildir
from tracker.mail.places import Account, ImapMailbox, MaildirFolder, PostfixFile, SmtpServer, Tls
from tracker.mail.posts import journal_of, transport_of
from tracker.mail.smtp import Smtp
from tracker.settings import Settings, from_environment

PASSWORD = "s3cr3t/#?@:%"
CODED = "s3cr3t%2F%23%3F%40%3A%25"


def settings(url: str = "", journal: str = "", password_file: str = "") -> Settings:
    return from_environment(
        {"TRACKER_SMTP_URL": url, "TRACKER_MAIL_JOURNAL": journal, "TRACKER_SMTP_PASSWORD_FILE": password_file}
    )


@pytest.mark.parametrize(
    "url, place",
    [
        ("smtp://mail.example.org", SmtpServer("mail.example.org", 587)),
        ("smtp://MAIL.example.org:2525/", SmtpServer("mail.example.org", 2525)),
        ("smtp://mail_server", SmtpServer("mail_server", 587)),
        ("smtp://[2001:db8::1]:26", SmtpServer("2001:db8::1", 26)),
        ("smtp://192.0.2.1?tls=none", SmtpServer("192.0.2.1", 25, Tls.NONE)),
        ("smtp://h?tls=tls", SmtpServer("h", 465, Tls.TLS)),
        ("smtps://h", SmtpServer("h", 465, Tls.TLS)),
        ("smtps://h?tls=tls&timeout=120", SmtpServer("h", 465, Tls.TLS, seconds=120)),
        ("smtp://h?ca=/etc/ssl/a%20b+c.pem&timeout=1", SmtpServer("h", 587, ca=Path("/etc/ssl/a b+c.pem"), seconds=1)),
        (f"smtp://me%40x.org:{CODED}@h", SmtpServer("h", 587, account=Account("me@x.org", PASSWORD))),
        ("smtp://me@x.org:pw@h", SmtpServer("h", 587, account=Account("me@x.org", "pw"))),
        ("smtp://u:p%C3%A4@localhost?tls=none", SmtpServer("localhost", 25, Tls.NONE, Account("u", "pä"))),
        ("smtp://u:p@127.0.0.9?tls=none", SmtpServer("127.0.0.9", 25, Tls.NONE, Account("u", "p"))),
        ("smtp://u:p@[::1]?tls=none", SmtpServer("::1", 25, Tls.NONE, Account("u", "p"))),
    ],
)
def test_an_address_names_a_server(url: str, place: SmtpServer) -> None:
    given_settings = settings(url)
    assert given_settings.smtp == place
    assert not given_settings.mail_off


def test_a_password_may_stand_in_a_file() -> None:
    server = settings("smtp://u@h", password_file="/run/secrets/smtp").smtp
    assert server == SmtpServer("h", 587, account=Account("u", password_file=Path("/run/secrets/smtp")))


def test_a_file_with_a_password_does_not_matter_where_mail_takes_another_way() -> None:
    assert settings("none", password_file="/run/secrets/smtp").mail_off
    assert settings("", password_file="/run/secrets/smtp").smtp is None


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org",
        "http://h",
        "smtp+tls://h",
        "smtp:h",
        "smtp://",
        "smtp://:25",
        "smtp://h:0",
        "smtp://h:65536",
        "smtp://h:x",
        "smtp://h..x",
        "smtp://-h",
        "smtp://h-",
        "smtp://h.",
        f"smtp://{'x' * 64}.org",
        "smtp://[::1",
        "smtp://h\r\nx",
        "smtp://h\tx",
        "smtp://h x",
        "smtp://hé",
        "smtp://h/path",
        "smtp://h#part",
        "smtp://h?tls=maybe",
        "smtp://h?tls=",
        "smtp://h?tls",
        "smtp://h?tls=none&tls=starttls",
        "smtp://h?verify=no",
        "smtp://h?&",
        "smtps://h?tls=none",
        "smtps://h?tls=starttls",
        "smtp://h?timeout=0",
        "smtp://h?timeout=121",
        "smtp://h?timeout=-1",
        "smtp://h?timeout=1.5",
        "smtp://h?timeout=٣",
        "smtp://h?ca=relative.pem",
        "smtp://h?ca=/a%00b",
        f"smtp://u:{CODED}@h?tls=none",
        f"smtp://u:{CODED}@10.0.0.1?tls=none",
        f"smtp://u:{CODED}@localhost.example.org?tls=none",
        f"smtp://:{CODED}@h",
        "smtp://u@h",
        "smtp://u:@h",
        f"smtp://u:{CODED}%0A@h",
        f"smtp://u:{PASSWORD}@h",
        "NONE",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_by_name(url: str) -> None:
    with pytest.raises(WrongSetting, match="TRACKER_SMTP_") as refused:
        settings(url)
    assert "s3cr3t" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("url", ["smtp://u:pw@h", "smtp://h"])
def test_a_file_with_a_password_needs_a_user_and_no_second_password(url: str) -> None:
    with pytest.raises(WrongSetting, match="TRACKER_SMTP_PASSWORD_FILE"):
        settings(url, password_file="/run/secrets/smtp")


@pytest.mark.parametrize(
    "text, place",
    [
        ("maildir:/var/journal", MaildirFolder(Path("/var/journal"))),
        ("postfix:/var/log/mail.log", PostfixFile(Path("/var/log/mail.log"))),
        (f"imaps://u:{CODED}@h", ImapMailbox("h", 993, Account("u", PASSWORD))),
        (
            "imaps://u:p@h:994/Sent%20Mail/2026?ca=/c.pem&timeout=9",
            ImapMailbox("h", 994, Account("u", "p"), "Sent Mail/2026", Path("/c.pem"), 9),
        ),
    ],
)
def test_a_journal_is_named_in_one_word(text: str, place: object) -> None:
    assert settings(journal=text).journal == place


@pytest.mark.parametrize(
    "text",
    [
        "/var/journal",
        "maildir:journal",
        "maildir:",
        "maildir:/a\nb",
        "postfix:mail.log",
        f"imap://u:{CODED}@h",
        "imaps://h",
        "imaps://u@h",
        "imaps://u:p%C3%A4@h",
        f"imaps://u:{CODED}@h/a%0Ab",
        f"imaps://u:{CODED}@h/%C3%A4",
        f"imaps://u:{CODED}@h?tls=none",
        f"imaps://u:{CODED}@h:0",
        f"imaps://u:{PASSWORD}@h",
        "journal",
    ],
)
def test_a_journal_that_cannot_be_used_is_refused_by_name(text: str) -> None:
    with pytest.raises(WrongSetting, match="TRACKER_MAIL_JOURNAL") as refused:
        settings(journal=text)
    assert "s3cr3t" not in str(refused.value)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1))
def test_no_refusal_repeats_a_password_however_it_is_written(password: str) -> None:
    written = f"QQ{password}QQ"
    assume("QQ" not in password)
    for name, url in (
        ("TRACKER_SMTP_URL", f"smtp://user:{written}@mail.example.org"),
        ("TRACKER_MAIL_JOURNAL", f"imaps://user:{written}@mail.example.org"),
    ):
        try:
            shown = repr(from_environment({name: url}))
        except WrongSetting as refused:
            shown = f"{refused} {refused.__cause__}"
        assert "QQ" not in shown


def test_settings_show_no_password() -> None:
    shown = repr(
        from_environment(
            {
                "TRACKER_SMTP_URL": f"smtp://u:{CODED}@h",
                "TRACKER_MAIL_JOURNAL": f"imaps://u:{CODED}@h",
                "TRACKER_DATABASE_URL": f"postgresql://u:{CODED}@h/db",
            }
        )
    )
    assert "s3cr3t" not in shown


# What follows from the settings ----------------------------------------------------------------------------


def test_mail_takes_the_way_that_the_settings_name() -> None:
    assert isinstance(transport_of(settings()), Maildir)
    assert isinstance(transport_of(settings("smtp://h")), Smtp)
    assert transport_of(settings("none")) is None


def test_a_maildir_is_its_own_journal_and_a_server_has_none() -> None:
    plain = settings()
    maildir = transport_of(plain)
    assert journal_of(plain, maildir) is maildir
    remote = settings("smtp://h")
    assert journal_of(remote, transport_of(remote)) is None
    assert journal_of(settings("none"), None) is None


@pytest.mark.parametrize(
    "text, kind",
    [("maildir:/j", MaildirJournal), ("postfix:/var/log/mail.log", PostfixLog), ("imaps://u:p@h", ImapJournal)],
)
@pytest.mark.parametrize("url", ["", "smtp://h", "none"])
def test_a_journal_that_is_named_is_the_one_that_is_asked(url: str, text: str, kind: type) -> None:
    found = settings(url, text)
    assert isinstance(journal_of(found, transport_of(found)), kind)
