"""What the API answers when it cannot do what was asked."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A request cannot be done. status: HTTP; field: the name of what is wrong in it, if one is.

    more: further members of the answer's error object.
    """

    def __init__(self, status: int, message: str, field: str | None = None, **more: Any) -> None:
        self.status = status
        self.message = message
        self.field = field
        self.more = more
        super().__init__(f"{field}: {message}" if field else message)

    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        error: dict[str, Any] = {"message": self.message}
        if self.field is not None:
            error["field"] = self.field
        return {"error": {**error, **self.more}}
