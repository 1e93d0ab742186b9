"""What the package says: short lines on the serial console, never a secret."""

level = 1  # 0: nothing; 1: what happens to the identity and the connection


def log(*words):
    """Print `words` if `level` asks for it."""
    if level:
        print("[iot]", *words)
