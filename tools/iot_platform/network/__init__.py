"""Ports: accepting, TLS handshakes, the platform's own CA and certificates."""
