# Network up, clock set. Whatever is raised here would keep main.py from running, so nothing is.
try:
    from aliyun_iot import clock, forget, wifi

    clock.start(wifi.up())
    forget("clock", "wifi")
except Exception as e:
    print("boot:", e)
