# Brings the network up and sets the clock. Must not raise: main.py would not run then.
def online():
    from aliyun_iot import phase  # not a global, as main.py shares those

    phase("network.start")


try:
    online()
# Any error: main.py must run regardless.
except Exception as e:
    print("boot:", e)
del online
