"""Who is trusted: the roots on flash, and a context that verifies against them."""

import gc
import os

import tls

from .errors import TlsError


def context(folder):
    """Make a TLS client context that trusts the DER files (*.der) in `folder`, and nothing else.

    Raises TlsError when there are none, or one is not a certificate: without roots no other end
    can be told from an impostor, so there is no connection either.
    """
    try:
        names = [name for name in os.listdir(folder) if name.endswith(".der")]
    except OSError:
        names = ()
    if not names:
        raise TlsError(folder + ": no trust roots (*.der) on flash")
    made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    made.verify_mode = tls.CERT_REQUIRED
    for name in names:
        try:
            with open(folder + "/" + name, "rb") as file:
                made.load_verify_locations(file.read())
        except (OSError, ValueError):
            raise TlsError("{}/{}: not a DER certificate".format(folder, name))
        gc.collect()  # TLS is about to want large pieces of the memory the heap grows into
    return made
