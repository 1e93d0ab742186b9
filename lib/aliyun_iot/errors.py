"""The package's exceptions. The type says whether trying again can help.

    IotError              .retry  True: the same call may succeed later
      Retryable                   .code   what the platform answered, or None
        NetworkError      no connection, a broken one, or no answer in time
        ProtocolError     an answer that does not follow the platform's specification
        BusyError         the platform asks to come back later (429, 500, CONNACK 3)
      Fatal               .retry  False: someone has to change something first
        ConfigError       a file on the board: the message names file and field
        TlsError          the other end is not the platform, or the clock is wrong
        StoreError        a record could not be written to flash, or read back
        RefusedError      the platform said no; .code says why

A caller's mistake is a ValueError or TypeError, raised before anything is sent. Messages end up in
logs, so they never contain a secret or anything that was received.
"""

from . import BusyError as BusyError
from . import ConfigError as ConfigError
from . import Fatal as Fatal
from . import IotError as IotError
from . import NetworkError as NetworkError
from . import ProtocolError as ProtocolError
from . import RefusedError as RefusedError
from . import Retryable as Retryable
from . import StoreError as StoreError
from . import TlsError as TlsError
