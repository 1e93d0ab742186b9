# Runs on the board: the identity goes. The successor goes first: it would win at the next boot.
import os

for path in ("/device.json.new", "/device.json"):
    try:
        os.stat(path)
    except OSError:
        continue
    os.remove(path)
    print('@@"' + path + '"')
