# Network up, clock set. Whatever is raised here would keep main.py from running, so nothing is.
def online():
    import gc

    from aliyun_iot import clock, forget, wifi  # not as globals: main.py shares them, for good

    gc.threshold(2048)  # collect often: fewer holes between what imports leave on the heap
    clock.start(wifi.up())
    forget("clock", "wifi")


try:
    online()
# Whatever it is: main.py must run all the same.
except Exception as e:
    print("boot:", e)
del online
