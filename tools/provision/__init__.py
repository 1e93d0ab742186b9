"""Provisions many boards: one CSV row a unit, several ports at once, nothing half-done."""

from tools.provision.errors import ProvisionError
from tools.provision.log import ResultLog
from tools.provision.units import Unit, read_units

__all__ = ["ProvisionError", "ResultLog", "Unit", "read_units"]
