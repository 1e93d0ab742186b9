# The DeviceSecret of connect.py, written into it.
secret = "$DEVICE_SECRET"
