"""Where a device connects if there is more than one place, and with which secret: docs/moving.md.

Loaded by a device that opted in, that was moved by hand or that rotates its secret; and by any
whose identity is refused, or has never connected and has no place recorded. Never by a plain boot.

A place is a host and a port. Up to three are known: the answer of bootstrap, the one of
product.json, and the one where the identity last worked, which device.json keeps as `place`. Each
may have further ports (`spares`). A round tries them in order, and stays where a connect succeeds.

`adopt` gives a Device the methods of `adopted`, and `places`, which becomes a dict on first use:
"doors": the places of this round; "at", "way": which of them, and which of its ports, is next;
"refused": those that refused the identity; "old": whether the old secret is in use; "ask": whether
to ask bootstrap before the next connect; "answers": failures to ask since the last connect.
"""

from micropython import const

from .. import (
    ConfigError,
    IotError,
    RefusedError,
    StoreError,
    log,
    machine,
    phase,
    time,
    time_is_set,
)

_ANSWER = const(5)  # this many failures to ask count as an answer


def adopt(device):
    """Make a Device look for its place, and its secret, from now on."""
    if not hasattr(device, "places"):
        from .adopted import adopt as have

        have(device)
    _read_again(device)
    device.places = None


def _read_again(device):
    """Read the record from flash again: a plain device has dropped its place."""
    if device.record:
        device.record = phase("records.load", "/device.json", lambda record: None)[0]


def _plain(device):
    """Make a Device a plain one again."""
    phase("moving.adopted.release", device)
    device.record.pop("place", None)


def _state(device):
    if not hasattr(device, "places"):
        adopt(device)
    state = device.places
    if state:
        return state
    try:
        product = device.settings()
    except ConfigError:
        product = {}  # a device certificate and defaults: see `identity.load`
    key, name = _names(device, product)
    if device.record:
        login = device.login()
        configured = login[1], login[3]
        usual = 443 if login[5] else 1883
    else:
        usual = 443 if product["securemode"] == 2 else 1883
        configured = _door(product["place"], key, usual)
    state = {"names": (key, name), "configured": configured, "place": product.get("place")}
    state["usual"] = usual
    state["told"] = None
    state["ask"] = False
    state["answers"] = 0
    _spares(state, product)
    if product.get("bootstrap"):
        host = product.get("bootstrapHost") or "iot-auth-global.aliyuncs.com"
        state["bootstrap"] = _split(host, "bootstrapHost")
        state["told"] = phase("moving.bootstrap.stored", key, name)
        state["ask"] = state["told"] is None
    device.places = state
    _begin(device, state)
    return state


def _names(device, product):
    """ProductKey and DeviceName."""
    own = device.record or product
    return own.get("productKey") or product.get("productKey"), own["deviceName"]


def _split(text, field):
    """Host and port of "host" or "host:port"."""
    from .bootstrap import is_host, is_port

    host, colon, port = text.partition(":")
    if not is_host(host) or (colon and not is_port(port)):
        expected = "host or host:port" if field == "bootstrapHost" else "ports, or host:port"
        raise ConfigError("product.json: {}: expected {}".format(field, expected))
    return host, int(port or 443)


def _spares(state, product):
    """Read `spares`: further ports for MQTT, and hosts to register at over HTTPS, in order."""
    spares = product.get("spares", "").split()
    state["spares"] = [_split("x:" + each, "spares")[1] for each in spares if each.isdigit()]
    doors = [_split(each, "spares") for each in spares if not each.isdigit()]
    host = product.get("registerHost")
    if spares and not doors and not host:
        # The same service with the platform's own root: docs "SDK root certificate update".
        doors = [("iot-auth-x.{}.aliyuncs.com".format(product["region"]), 443)]
    state["register"] = [(host, product.get("registerPort"))] + doors


def _door(place, key, usual):
    """Host and port of a `place`, see `identity.product`; None if it is malformed.

    usual: the default port.
    """
    words = [None if word == "None" else word for word in place.split(" ")[:4]]
    if len(words) < 4 or not (words[3] or "443").isdigit():
        return None
    from ..credentials import host

    product = {"mqttHost": words[0], "instanceId": words[1], "region": words[2]}
    return host(product, key), int(words[3] or usual)


def _good(device, state):
    """Where the identity last worked: (host, port), or None."""
    return _door((device.record or {}).get("place", ""), state["names"][0], state["usual"])


def _begin(device, state):
    """Begin a round."""
    doors = []
    told, good, configured = state["told"], _good(device, state), state["configured"]
    # Defaults used because product.json cannot be read come last, too.
    last = "bootstrap" in state or not state["place"]
    for door in (told, good, configured) if last else (configured, good):
        if door and door not in doors:
            doors.append(door)
    state["doors"] = doors
    state["refused"] = []
    state["at"] = state["way"] = 0
    state["old"] = False


def _ways(state):
    host, port = state["doors"][state["at"]]
    return [(host, port)] + [(host, spare) for spare in state["spares"] if spare != port]


def choose(device):
    """Choose where the next connect goes, after asking bootstrap if that is due."""
    state = _state(device)
    _ask(device, state)
    session = device.session
    session.server, session.port = _ways(state)[state["way"]]
    if "bootstrap" in state:
        topic = session.topic("thing/bootstrap/notify").encode()
        if topic in session.readers:
            session.readers[topic](None, None)
        else:
            from .notice import reader

            session.readers[topic] = reader(device)


def _ask(device, state):
    """Ask bootstrap, if it is due and the platform's rate limit allows it."""
    from ..connection import barred

    if not state["ask"] or barred(device.begun):
        return
    device.begun.append(time.ticks_ms())
    if len(device.begun) > 5:
        device.begun.pop(0)
    if device.feed:
        device.feed()
    state["ask"] = False
    try:
        told, date = phase(
            "moving.bootstrap.ask",
            state["bootstrap"],
            state["names"],
            device.trust(),
            device.timeout,
        )
    except IotError as e:
        log("bootstrap: {}".format(e))
        state["answers"] += 1
        return
    log("bootstrap: told {}:{}".format(*told))
    state["answers"] = _ANSWER
    if date and not time_is_set():
        phase("network.heed", date)
    if told != state["told"]:
        state["told"] = told
        _begin(device, state)


def told(device):
    """Have bootstrap asked before the next connect."""
    _state(device)["ask"] = True


def _next(state, refused=False):
    """Move on to the next port or place: whether there is one left in this round."""
    state["ask"] = "bootstrap" in state
    state["way"] += 1
    if refused or state["way"] >= len(_ways(state)):
        state["way"] = 0
        state["at"] += 1
    return state["at"] < len(state["doors"])


def failed(device, e):
    """Handle the error `e` of a connect: move on to the next place, or ask to register.

    The wrong place refuses a good identity, too. So it is only given up when all places have
    refused it and bootstrap, if in use, has been asked since the last connect.
    """
    state = _state(device)
    refused = hasattr(e, "identity")
    if refused:
        del e.identity  # handled here
    if refused and "oldSecret" in device.record and not state["old"]:
        phase("moving.rotation.swap", device)
        state["old"] = True
        e.retry = True
        log("next: the old secret")
        return
    if state["old"]:
        phase("moving.rotation.swap", device)
        state["old"] = False
    if refused:
        state["refused"].append(state["doors"][state["at"]])
    if _next(state, refused):
        e.retry = True  # the next one is tried soon, and the clock is not doubted yet
        log("next: {}:{}".format(*_ways(state)[state["way"]]))
        return
    told, good = state["told"], _good(device, state)
    # Once bootstrap's answer has worked, product.json's place does not have to refuse as well.
    needed = [door for door in state["doors"] if door in (told, good) or told != good]
    asked = "bootstrap" not in state or state["answers"] >= _ANSWER
    if asked and not [door for door in needed if door not in state["refused"]]:
        device.asking = device.can_ask
    elif refused:
        e.retry = True  # a place that did not answer may be the right one
    _begin(device, state)
    plain = len(state["doors"]) == 1 and "place" in device.record
    if plain and not _opted(state) and "oldSecret" not in device.record:
        _plain(device)


def _opted(state):
    return "bootstrap" in state or state["spares"]


def settle(device):
    """Handle a successful connect: record on flash its place, and only the secret that worked."""
    state = _state(device)
    record = device.record
    door = state["doors"][state["at"]]
    state["refused"] = []
    state["answers"] = 0
    state["ask"] = state["old"] = False
    place = record.get("place")
    if door == state["configured"] and (state["place"] or not place):
        # Without product.json, it is the default place.
        place = state["place"] or phase("identity.product", {}, machine.unique_id())["place"]
    elif door != _good(device, state):
        place = "{} None None {}".format(*door)
    elif place.endswith(" ?"):  # see `rotation`
        place = place[:-2]
    if place != record.get("place") or "oldSecret" in record:
        record = dict(record)
        record["place"] = place
        record.pop("oldSecret", None)
        from ..records import save

        try:
            save("/device.json", record)
            device.record = record
        except StoreError as e:
            log(e)  # the next connect tries again
    if "bootstrap" in state:
        if door == state["told"]:
            phase("moving.bootstrap.keep", door, *state["names"])
    elif not state["at"] and not _opted(state):
        _plain(device)


def enrol(device, how="registration.enrol"):
    """Register at the next place by calling `how`; see `Device.register`."""
    state = _state(device)
    product = dict(device.settings())
    mqtt = product["registration"] != "https"
    if mqtt:
        _ask(device, state)
        host, port = _ways(state)[state["way"]]
        product["mqttHost"] = host
        product["mqttPort"] = port
        if state["doors"][state["at"]] != state["configured"]:
            product.pop("instanceId", None)
            product["place"] = "{} None None {}".format(*state["doors"][state["at"]])
    doors = state["register"]
    host, port = doors[0]
    product["registerHost"] = host
    product["registerPort"] = port
    kept = device.product
    device.product = product
    try:
        phase(how, device)
        _read_again(device)
    except IotError as e:
        if mqtt:
            more = _next(state)
            if not more:
                _begin(device, state)
        else:
            more = len(doors) > 1 and not isinstance(e, RefusedError)
            doors.append(doors.pop(0))
        if more:
            e.retry = True
        raise
    finally:
        device.product = kept


def rotate(device):
    """See `Device.rotate`."""
    phase("moving.rotation.rotate", device)


def relocate(device, fields):
    """See `Device.relocate`."""
    phase("moving.relocation.relocate", device, fields)
