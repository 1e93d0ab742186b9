# Network up, clock set. Whatever is raised here would keep main.py from running, so nothing is.
def online():
    from aliyun_iot import phase  # not as a global: main.py shares them, for good

    phase("network.start")


try:
    online()
# Whatever it is: main.py must run all the same.
except Exception as e:
    print("boot:", e)
del online
