from typing import Any, Literal

__version__: str
log_level: int
time_source: Literal["ntp", "kept", "date", "floor", "expired"] | None

def time_is_set() -> bool: ...
def phase(what: str, *args: Any) -> Any: ...

class IotError(Exception):
    """What all errors of the package are."""

    retry: bool
    """Whether the same call can succeed later without anybody's doing."""
    code: int | None
    """What the platform answered: a result code, or the return code of a CONNACK."""
    def __init__(self, message: str, code: int | None = None) -> None: ...

class Retryable(IotError):
    """It may pass by itself."""

class NetworkError(Retryable):
    """No connection, a broken one, or no answer in time."""

class ProtocolError(Retryable):
    """An answer that is not what the platform specifies."""

class BusyError(Retryable):
    """The platform asks to come back later: 429, 500, CONNACK 3."""

class Fatal(IotError):
    """Somebody must change something first."""

class ConfigError(Fatal):
    """A file on the board is wrong; the message names file and field."""

class TlsError(Fatal):
    """The other end is not the platform, or the clock is wrong."""

class StoreError(Fatal):
    """The flash did not take, or does not give back, a record."""

class RefusedError(Fatal):
    """The platform said no; `code` says why."""
