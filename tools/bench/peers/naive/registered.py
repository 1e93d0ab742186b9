# The DeviceSecret of connect.py by dynamic registration.
# ruff: noqa: F821 - connect.py has what is not defined here
import requests

content = "deviceName" + name + "productKey" + PRODUCT_KEY + "random123456"
answer = requests.post(
    "https://localhost:$REGISTER_PORT/auth/register/device",
    data="productKey="
    + PRODUCT_KEY
    + "&deviceName="
    + name
    + "&random=123456&sign="
    + hmac_sha256("$PRODUCT_SECRET", content)
    + "&signMethod=hmacsha256",
    headers={"Content-Type": "application/x-www-form-urlencoded"},
)
secret = answer.json()["data"]["deviceSecret"]
print("registered")
