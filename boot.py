# Network up, clock set. Whatever is raised here would keep main.py from running, so nothing is.
def online():
    from aliyun_iot import phase  # not as a global: main.py shares them, for good

    def start():
        from aliyun_iot.network import start

        start()

    phase(start)


try:
    online()
# Whatever it is: main.py must run all the same.
except Exception as e:
    print("boot:", e)
del online
