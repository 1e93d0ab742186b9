"""Where the flows are measured: a local platform, boards with the package, boards with a peer."""

from __future__ import annotations

import itertools
import re
import shutil
import string
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tools.bench.flow import BOOT_SECONDS, CONNECTED, REPLIED, Flow, good
from tools.board import Board
from tools.image import FlashLayout, build_image, compile_source, image_files, make_image
from tools.iot_platform import LocalPlatform
from tools.layout import FROZEN, PACKAGE

PRODUCT_KEY = "a1ExpAkj9Hi"
PRODUCT_SECRET = "ffFnFlKQW3HYjjPR"
WIFI = {"ssid": "bench", "password": "correct horse"}
HERE = Path(__file__).parent
NAIVE = HERE / "peers" / "naive"
DEVICE = HERE / "device"
SENSOR_KEY = "a1SensorKey"

OPTIMISE = (0, 3)
"""mpy-cross levels: 0 is what `make image` builds, 3 drops line numbers and asserts."""


def script_text(path: Path, values: Mapping[str, Any] | None = None) -> str:
    """Source of a device script: `values` take the place of $names.

    `from signing import ...` is replaced by the text of the file that `values` name "signing", and
    `from secret import ...` so, too.
    """
    text = path.read_text("utf-8")
    given = dict(values or {})
    for module in ("signing", "secret"):
        if module in given:
            included = (NAIVE / given.pop(module)).read_text("utf-8")
            text = included.join(re.split(rf"(?m)^from {module} import .*\n", text))
    return string.Template(text).substitute(given) if values else text


def with_ssl(source: str) -> str:
    """Source of any release of umqtt.simple, with the name that stock firmware has for TLS.

    1.3.4 is from before `ussl` became `ssl`; the copies in stock firmware have followed.
    """
    return source.replace("import ussl\n", "import ssl as ussl\n")


class Place:
    """A running platform and makers of boards. A context manager; leaving it stops everything.

    register_port, mqtt_port: where boards connect; the platform's own ports unless changed.
    """

    def __init__(self, folder: Path) -> None:
        """folder: for the boards; what is in it afterwards is not needed."""
        self.platform = LocalPlatform()
        self.folder = folder
        self._stack = ExitStack()
        self._macs: Iterator[int] = itertools.count(0x246F28000001)

    def __enter__(self) -> Place:
        self._stack.enter_context(self.platform)
        self.platform.registry.add_product(PRODUCT_KEY, PRODUCT_SECRET, node_type="gateway")
        self.platform.registry.add_product(SENSOR_KEY)
        self.register_port = self.platform.https_port
        self.mqtt_port = self.platform.mqtt_tls_port
        self.naive_frozen = self._naive_frozen()
        self.with_package = self._with_package()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _naive_frozen(self) -> Path:
        folder = self.folder / "frozen"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "umqtt").mkdir(parents=True)
        source = (FROZEN / "umqtt" / "simple.py").read_text("utf-8")
        (folder / "umqtt" / "simple.py").write_text(with_ssl(source), "utf-8")
        return folder

    def _with_package(self) -> Path:
        """Sources of a firmware that freezes the package too, as firmware/manifest.py has it."""
        folder = self.folder / "with-package"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(FROZEN, folder)
        shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__py*"))
        return folder

    # --- images

    def product(self, **fields: Any) -> dict[str, Any]:
        """A product.json that leads to this platform; `fields` change it."""
        return {
            "productKey": PRODUCT_KEY,
            "productSecret": PRODUCT_SECRET,
            "registerHost": "localhost",
            "registerPort": self.register_port,
            "mqttHost": "localhost",
            "mqttPort": self.mqtt_port,
            **fields,
        }

    def image(
        self,
        product: Mapping[str, Any] | None = None,
        *,
        layout: FlashLayout | None = None,
        **image: Any,
    ) -> bytes:
        """A flash image with the package, as shipped; arguments as of `image_files`.

        layout: partition to fill; 4 MB of flash with stock firmware by default.
        """
        content: dict[str, Any] = {"wifi": WIFI, "roots": [self.platform.ca_der]} | image
        files = image_files(self.product() if product is None else product, **content)
        return make_image(files, layout or FlashLayout())

    def bare_image(
        self, script: Path | None, values: Mapping[str, Any] | None = None, **image: Any
    ) -> bytes:
        """A flash image without the package.

        script: a device script in which `values` take the place of $names; it is compiled, as
        the package is, and imported by main.py. None: main.py only prints a line.
        """
        main = 'print("at rest")'
        files: dict[str, bytes] = dict(image.pop("files", {}))
        if script is not None:
            given = {
                "PRODUCT_KEY": PRODUCT_KEY,
                "PRODUCT_SECRET": PRODUCT_SECRET,
                "REGISTER_PORT": self.register_port,
                "MQTT_PORT": self.mqtt_port,
                "signing": "signing_own.py",
                "POST": "yes",
                **(values or {}),
            }
            text = script_text(script, given)
            code = compile_source(text.encode(), script.name, image.get("optimise", 0))
            files["/lib/peer.mpy"] = code
            main = "import peer"
        content: dict[str, Any] = {
            "main": main,
            "boot": NAIVE / "boot.py",
            "lib": None,
            "roots": [],
        } | image
        return build_image(files=files, **content)

    # --- boards

    def new_mac(self) -> str:
        """A DeviceName that the platform knows and that nobody has used: 12 hex digits."""
        mac = f"{next(self._macs):012x}"
        self.platform.registry.add_device(PRODUCT_KEY, mac)
        return mac

    def board(self, image: bytes, mac: str | None = None, **options: Any) -> Board:
        """A board with this flash; all share one folder, so only one may run at a time."""
        folder = options.pop("folder", self.folder / "board")
        settings: dict[str, Any] = {"resolve": {"*": "127.0.0.1"}} | options
        return Board(image, folder, mac=mac or self.new_mac(), **settings)

    def secret_of(self, name: str) -> str:
        """The DeviceSecret that the platform holds to be the valid one."""
        return self.platform.registry.device(PRODUCT_KEY, name).device_secret

    # --- flows

    def first_boot(
        self,
        optimise: int = 0,
        registration: str = "https",
        post: bool = True,
        frozen: bool = False,
        **image: Any,
    ) -> Flow:
        """Blank board, shipped boot.py and main.py: register, store, read back, connect, post.

        post: false: another main.py, which connects and does nothing more. frozen: the package
        is part of the firmware, not on the flash. image: see `image`.
        """
        if not post:
            image["main"] = script_text(DEVICE / "connect.py")
        options: dict[str, Any] = {"frozen": self.with_package} if frozen else {}
        if frozen:
            image["lib"] = None
        flash = self.image(self.product(registration=registration), optimise=optimise, **image)
        done = REPLIED if post else CONNECTED
        return Flow("first boot", lambda: self.board(flash, **options), done)

    def later_boot(
        self, optimise: int = 0, post: bool = True, frozen: bool = False, **image: Any
    ) -> Flow:
        """The same board's second boot: connect, post."""
        flow = self.first_boot(optimise, post=post, frozen=frozen, **image)
        board = flow.board()
        result = board.boot(flow.done, BOOT_SECONDS)
        if not good(result, flow.done):
            raise RuntimeError(f"first boot: {result.ending}: {result.output}")
        flash, mac, kept = board.flash, board.mac, board.frozen
        return Flow("later boot", lambda: self.board(flash, mac, frozen=kept), flow.done)

    def naive_first_boot(
        self, signing: str = "signing_own.py", post: bool = True, **image: Any
    ) -> Flow:
        """The same by a naive script, which neither verifies nor stores."""
        values = {"signing": signing, "secret": "registered.py", "POST": "yes" if post else ""}
        return self._naive("first boot", values, None, **image)

    def naive_later_boot(self, post: bool = True) -> Flow:
        """Connect, post, with a DeviceSecret in the script."""
        mac = self.new_mac()
        values = {
            "secret": "written.py",
            "DEVICE_SECRET": self.secret_of(mac),
            "POST": "yes" if post else "",
        }
        return self._naive("later boot", values, mac)

    def _naive(self, name: str, values: dict[str, Any], mac: str | None, **image: Any) -> Flow:
        flash = self.bare_image(NAIVE / "connect.py", values, optimise=3, **image)
        done = REPLIED if values["POST"] else CONNECTED
        return Flow(name, lambda: self.board(flash, mac, frozen=self.naive_frozen), done)

    def at_rest(self) -> Flow:
        """The board itself: simulator, flash mounted, Wi-Fi joined, a line printed."""
        flash = self.bare_image(None)
        return Flow("at rest", lambda: self.board(flash), done="at rest")

    def gateway(self, count: int, optimise: int = 0, held: int = 0) -> Flow:
        """A blank gateway: registers itself, then brings `count` new sub-devices online.

        Its sleeps pass fast, so that the platform's rate limits, which it keeps, cost no time.
        held: kibibytes of a chip that the application holds meanwhile.
        """
        values = {"COUNT": count, "SENSOR_KEY": SENSOR_KEY, "HELD": held * 2 * 1024}
        image = self.image(main=script_text(DEVICE / "gateway.py", values), optimise=optimise)
        return Flow(
            f"gateway with {count:,} sub-devices",
            lambda: self._gateway_board(image, count),
            done=rf"gateway {count} .*\n",
            seconds=BOOT_SECONDS + count * 0.06,
        )

    def gateway_later(self, count: int) -> Flow:
        """The same board's second boot: its sub-devices are logged in."""
        flow = self.gateway(count)
        board = flow.board()
        result = board.boot(flow.done, flow.seconds)
        if not good(result, flow.done):
            raise RuntimeError(f"first boot: {result.ending}: {result.output}")
        return Flow(f"{flow.name}, later", lambda: board, flow.done, flow.seconds)

    def _gateway_board(self, image: bytes, count: int) -> Board:
        mac = self.new_mac()
        names = [f"{mac}-{number:04}" for number in range(count)]
        self.platform.registry.add_devices(SENSOR_KEY, names)
        return self.board(image, mac, hurry=1000)
