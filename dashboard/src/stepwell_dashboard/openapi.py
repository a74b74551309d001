"""`python -m stepwell_dashboard.openapi` prints the API's OpenAPI document, from which the page's types are made.

The document comes from the routes alone: no setting is read and no database is reached.
"""

import json

from .app import routes


def document() -> str:
    return json.dumps(routes().openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201 - printing it is what this is for
