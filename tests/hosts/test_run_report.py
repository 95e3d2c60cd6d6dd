"""What a host's log gets of the package's messages."""

import logging

from normreg_plugins.hosts.run_report import log_to

ours = logging.getLogger("normreg_plugins")


def test_a_new_run_replaces_the_handlers_of_the_last_and_leaves_those_of_the_user(monkeypatch) -> None:
    users, *hosts = (logging.NullHandler() for _ in range(3))
    monkeypatch.setattr(ours, "handlers", [users])
    for handler in hosts:
        host = logging.Logger("host")
        host.handlers = [users, handler]  # the user's handler may listen to both
        log_to(host)
        log_to(host)  # from a second hook of the same run
        assert ours.handlers == [users, handler]
    log_to(logging.Logger("a host without handlers"))
    assert ours.handlers == [users]
