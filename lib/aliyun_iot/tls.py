"""Who is trusted: a context that verifies against the roots on flash, and nothing else."""

import gc
import os

import tls

from .errors import TlsError


def trust(context, folder):
    """Have a TLS client `context` verify, trusting the DER files (*.der) in `folder`.

    Raises TlsError when there are none, or one is not a certificate: without roots no other end
    can be told from an impostor, so there is no connection either.
    """
    # The C class verifies by default, the ssl module's wrapper of it does not: never rely on it.
    context.verify_mode = tls.CERT_REQUIRED
    trusted = 0
    try:
        for name in os.listdir(folder):
            if name.endswith(".der"):
                with open(folder + "/" + name, "rb") as file:
                    context.load_verify_locations(file.read())
                trusted += 1
                gc.collect()  # TLS is about to want large pieces of memory
    except ValueError:
        raise TlsError("{}/{}: not a DER certificate".format(folder, name))
    except OSError:
        pass
    if not trusted:
        raise TlsError(folder + ": no trust roots (*.der) on flash")
