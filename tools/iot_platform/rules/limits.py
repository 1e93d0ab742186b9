"""Every bound of the local platform: what a device may send, and what is kept for one.

Figures marked * are the platform's own (its page "Limits"); the others only keep this process
from growing without end. What is past a bound is refused, and the record says so.
"""

from __future__ import annotations

# A message
TOPIC_BYTES = 128  # *
TOPIC_SLASHES = 7  # *
PAYLOAD_BYTES = 262_144  # *

# A session
SUBSCRIBE_TOPICS = 8  # * in one SUBSCRIBE
SUBSCRIPTIONS = 100  # * of one device
OUTBOX_BYTES = 8 * 1024 * 1024
"""Written to a connection and not yet taken by the peer; past it the connection is closed."""

# QoS 1 messages kept for a device, online or not, until it acknowledges them
IN_FLIGHT = 100  # * sent and not acknowledged: later ones wait
WAITING = 1000  # not sent yet
WAITING_BYTES = 8 * 1024 * 1024  # payloads, in flight and waiting
WAITING_SECONDS = 7 * 24 * 3600.0  # *

# A name
RATE_WINDOW = 60.0
"""Seconds over which connects and logins are counted; older ones are forgotten."""
UNUSED_CLIENTS = 100
"""clientIds handed out without pre-registration and never used; past it the oldest is void."""

# HTTPS
FORM_BYTES = 4096
FORM_FIELDS = 10

# The record, of all devices together
EVENTS = 200_000  # in memory, and as many in the database
MESSAGES = 10_000
MESSAGES_BYTES = 64 * 1024 * 1024
