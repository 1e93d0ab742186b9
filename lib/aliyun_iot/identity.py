"""What flash knows of this board: its product certificate and its device certificate."""

import json

import machine

from . import certificate, store
from .errors import ConfigError
from .log import log


def _read_product(path, name):
    """Read and check product.json: (dict, None), or (the defaults, a ConfigError)."""
    try:
        try:
            with open(path) as file:
                fields = json.load(file)
        except OSError:
            from . import nvs

            fields = nvs.product(path)
        if name and isinstance(fields, dict):
            fields["deviceName"] = name
        return certificate.product(fields, machine.unique_id()), None
    except (OSError, ImportError):
        problem = ConfigError("product.json: missing")
    except (ValueError, UnicodeError):
        problem = ConfigError("product.json: not JSON, or not UTF-8")
    except ConfigError as e:
        problem = e
    return certificate.product({}, machine.unique_id()), problem


def load(product_path, device_path, name):
    """Read both files: (settings and product certificate, device certificate or None), dicts.

    name: the DeviceName where product.json is not to tell, or None. Raises ConfigError when
    there is neither a device certificate nor what it takes to register.
    """
    product, problem = _read_product(product_path, name)
    record, why = store.load(device_path, lambda record: certificate.device(record, product))
    if record and problem and "missing" not in str(problem):
        log("{}; going on with device.json and defaults".format(problem))
    for field in ("productKey", "productSecret"):
        if problem is None and not product.get(field):
            problem = ConfigError("product.json: {}: missing".format(field))
    if record is None and problem:
        raise ConfigError("{} (and device.json: {})".format(problem, why))
    if record is None:
        log("device.json: {}; {} is not registered yet".format(why, product["deviceName"]))
    return product, record
