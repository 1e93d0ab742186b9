"""Requests on products: list, add, switch dynamic registration, show the secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.iot_platform.console import fields, inventory
from tools.iot_platform.console.errors import ApiError
from tools.iot_platform.console.paging import page_json, read_page
from tools.iot_platform.console.surface import Hub
from tools.iot_platform.rules.names import check_product_key, check_secret
from tools.iot_platform.store.entities import Product
from tools.iot_platform.store.registry import random_text

NODE_TYPES = ("device", "gateway")


class ProductRequests:
    """`handlers`: by method and path."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.handlers = {
            ("GET", "products"): self.list,
            ("POST", "products"): self.add,
            ("GET", "products/{productKey}"): self.show,
            ("POST", "products/{productKey}"): self.change,
            ("POST", "products/{productKey}/secret"): self.secret,
        }

    def list(self, _: Mapping[str, str], query: Mapping[str, Any]) -> Any:
        """A page of products, by ProductKey."""
        fields.only(query, "search", "offset", "limit")
        offset, limit = read_page(query)
        part = query.get("search", "").lower()
        all_of_them = [p for p in self._hub.registry.products() if part in p.product_key.lower()]
        devices = inventory.devices_of_products(self._hub.database)
        items = [self._json(p, devices) for p in all_of_them[offset : offset + limit]]
        return page_json(items, len(all_of_them), offset, limit)

    def show(self, names: Mapping[str, str], query: Mapping[str, Any]) -> Any:
        """One product."""
        fields.only(query)
        product = self._product(names)
        return self._json(product, inventory.devices_of_products(self._hub.database))

    def add(self, _: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        """A new product. Key and secret are made up where none are given."""
        fields.only(
            body,
            "productKey",
            "productSecret",
            "nodeType",
            "dynamicRegistration",
            "registrationFree",
        )
        key = fields.optional(body, "productKey") or "a1" + random_text(9)
        fields.checked("productKey", check_product_key, key)
        secret = fields.optional(body, "productSecret")
        if secret is not None:
            fields.checked(
                "productSecret", lambda text: check_secret("ProductSecret", text), secret
            )
        node_type = fields.choice(body, "nodeType", NODE_TYPES, "device")
        dynamic = fields.flag(body, "dynamicRegistration", False)
        free = fields.flag(body, "registrationFree", False)
        if self._hub.registry.find_product(key) is not None:
            raise ApiError(409, f"product {key} exists already", "productKey")
        product = self._hub.registry.add_product(
            key, secret, dynamic, node_type=node_type, registration_free=free
        )
        self._hub.record.add("admin", (key, None), what="add product")
        return self._json(product, {})

    def change(self, names: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        """The product's dynamic-registration switch."""
        fields.only(body, "dynamicRegistration")
        product = self._product(names)
        on = fields.flag(body, "dynamicRegistration")
        self._hub.registry.set_dynamic_registration(product.product_key, on)
        self._hub.record.add(
            "admin",
            (product.product_key, None),
            what=f"dynamic registration {'on' if on else 'off'}",
        )
        return self.show(names, {})

    def secret(self, names: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        """The ProductSecret of one product."""
        fields.only(body)
        product = self._product(names)
        self._hub.record.add("admin", (product.product_key, None), what="show ProductSecret")
        return {"productSecret": product.product_secret}

    def _product(self, names: Mapping[str, str]) -> Product:
        product = self._hub.registry.find_product(names["productKey"])
        if product is None:
            raise ApiError(404, f"no product {names['productKey'][:64]}", "productKey")
        return product

    def _json(self, product: Product, devices: Mapping[str, int]) -> dict[str, Any]:
        return {
            "productKey": product.product_key,
            "nodeType": product.node_type,
            "dynamicRegistration": product.dynamic_registration,
            "registrationFree": product.registration_free,
            "devices": devices.get(product.product_key, 0),
        }
