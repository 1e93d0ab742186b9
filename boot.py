# Network up, clock set. Whatever is raised here would keep main.py from running, so nothing is.
try:
    from aliyun_iot import clock, wifi

    clock.start(wifi.up())
except Exception as e:
    print("boot:", e)
