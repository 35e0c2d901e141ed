"""Tells systemd, if it started this process with `Type=notify`, when the service is ready and when it stops.

The protocol is one datagram of lines (https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html).
"""

from __future__ import annotations

import logging
import os
import socket

logger = logging.getLogger(__name__)

VARIABLE = "NOTIFY_SOCKET"


class ServiceManager:
    """The service manager of this process; says nothing where there is none."""

    def __init__(self) -> None:
        # Taken out of the environment: a child that told of itself would speak for the service.
        self._address = os.environ.pop(VARIABLE, "")

    def ready(self, status: str) -> None:
        """The service does its work from now on."""
        self._tell("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._tell(f"STATUS={status}")

    def stopping(self) -> None:
        """The service ends."""
        self._tell("STOPPING=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.connect("\0" + self._address[1:] if self._address.startswith("@") else self._address)
                sock.sendall("\n".join(lines).encode())
        except OSError as error:
            logger.warning("the service manager at %s was not told %s: %s", self._address, lines[0], error)
